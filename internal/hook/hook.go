// Package hook lets package sessiontest reach what the public API keeps to
// itself. Package session provides the functions.
package hook

import "time"

var (
	// SetClock sets the clock of a *session.Options.
	SetClock func(options any, now func() time.Time)
	// CookieName returns the name of the cookie of a *session.Manager.
	CookieName func(manager any) string
)
