// Package hook lets packages drivertest and sessiontest reach what the public API keeps
// to itself. Package session provides the functions.
package hook

import (
	"context"
	"net/http"
	"time"
)

var (
	// SetClock sets the clock of a *session.Options.
	SetClock func(options any, now func() time.Time)
	// CookieName returns the name of the cookie of a *session.Manager, or "" if it
	// uses none.
	CookieName func(manager any) string
	// ReadID returns what a *session.Manager takes for a session's ID in a request,
	// or "".
	ReadID func(manager any, r *http.Request) string
	// WriteID has a *session.Manager tell a client the value that Save returned, with
	// the response to a request.
	WriteID func(manager any, w http.ResponseWriter, r *http.Request, value string)
	// Cookie returns the cookie of a *session.Manager without its value, also if no
	// session travels in it.
	Cookie func(manager any) *http.Cookie
	// Headers returns the names of the headers in which a *session.Manager tells
	// clients their IDs, other than cookies.
	Headers func(manager any) []string
	// Save stores a session that the Store of a *session.Manager returned, wherever
	// that keeps sessions, and returns the value that its client is to hold.
	Save func(ctx context.Context, manager, sess any) (value string, err error)
)
