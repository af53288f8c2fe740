// Package packages imports all packages of v1.6.6, so that go.mod and go.sum know
// what they need when the tests compare their API with ours. Nothing runs it.
package packages

import (
	// Imported so that go.mod requires what they need.
	_ "github.com/flamego/session"
	_ "github.com/flamego/session/mongo"
	_ "github.com/flamego/session/mysql"
	_ "github.com/flamego/session/postgres"
	_ "github.com/flamego/session/redis"
	_ "github.com/flamego/session/sqlite"
)
