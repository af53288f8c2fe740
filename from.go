package session

import (
	"context"
	"net/http"

	"github.com/flamego/flamego"
)

type contextKey struct{}

// InContext is a handler that puts the session into the context of the request, where From
// finds it. Put it behind the Sessioner, in front of an http.Handler that needs the session
// or of middleware that was written for net/http:
//
//	f.Get("/report", session.InContext, report.ServeHTTP)
//
// It copies the request, which is why the Sessioner leaves it to those who need it.
func InContext(c flamego.Context, s Session) {
	r := c.Request().Request
	r = r.WithContext(context.WithValue(r.Context(), contextKey{}, s))
	c.Request().Request = r
	c.Map(r)
}

// From returns the session of a request that has passed InContext, or nil. It is the one that
// handlers take as a parameter, and is found in every request whose context derives from that
// one's. From may be called concurrently.
func From(r *http.Request) Session {
	s, _ := r.Context().Value(contextKey{}).(Session)
	return s
}
