package session

import (
	"context"
	"net/http"

	"github.com/flamego/flamego"
)

type contextKey struct{}

// InContext is a handler that puts the session into the request's context, where From finds
// it. Use it after the Sessioner and before an http.Handler that needs the session, or before
// middleware written for net/http:
//
//	f.Get("/report", session.InContext, report.ServeHTTP)
//
// It copies the request, so the Sessioner does not do it for every route.
func InContext(c flamego.Context, s Session) {
	r := c.Request().Request
	r = r.WithContext(context.WithValue(r.Context(), contextKey{}, s))
	c.Request().Request = r
	c.Map(r)
}

// From returns the session of a request that has passed InContext, or nil. It is the same
// Session that handlers take as a parameter, and is found in every request whose context
// derives from that request's context. From may be called concurrently.
func From(r *http.Request) Session {
	s, _ := r.Context().Value(contextKey{}).(Session)
	return s
}
