//go:build !linux

package testserver

// starters is empty: other systems test with the servers that the environment
// names.
var starters map[string]func() (*Server, error)
