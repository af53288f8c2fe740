// Package hook lets package sessiontest reach what the public API keeps to
// itself. Package session provides the functions.
package hook

import (
	"context"
	"time"
)

var (
	// SetClock sets the clock of a *session.Options.
	SetClock func(options any, now func() time.Time)
	// CookieName returns the name of the cookie of a *session.Manager, or "" if it
	// uses none.
	CookieName func(manager any) string
	// Save stores a session that the Store of a *session.Manager returned, wherever
	// that keeps sessions, and returns the cookie's value for it.
	Save func(ctx context.Context, manager, sess any) (value string, err error)
)
