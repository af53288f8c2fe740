// Package hook lets packages drivertest and sessiontest reach what the public API keeps
// to itself. Package session provides the functions.
package hook

import (
	"context"
	"net/http"
	"time"

	"github.com/flamego/session/internal/carry"
)

var (
	// SetClock sets the clock of a *session.Options.
	SetClock func(options any, now func() time.Time)
	// Cookie returns the cookie of a *session.Manager without its value, also if no
	// session travels in it.
	Cookie func(manager any) *http.Cookie
	// Carriers returns what a *session.Manager reads IDs from, in order.
	Carriers func(manager any) []*carry.Carrier
	// IsValid reports whether a *session.Manager looks such an ID up.
	IsValid func(manager any, value string) bool
	// Save stores a session that the Store of a *session.Manager returned, wherever
	// that keeps sessions, and returns the value that its client is to hold.
	Save func(ctx context.Context, manager, sess any) (value string, err error)
)
