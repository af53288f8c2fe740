package session_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// plainCounter counts visits, as a handler that knows nothing of Flamego.
func plainCounter(w http.ResponseWriter, r *http.Request) {
	s := session.From(r)
	if s == nil {
		http.Error(w, "no session", http.StatusTeapot)
		return
	}
	_, _ = fmt.Fprint(w, session.Update(s, "n", func(n int) int { return n + 1 }))
}

// audited is middleware for net/http, which looks at the session before and after.
func audited(seen *[]any) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			*seen = append(*seen, session.From(r).Get("n"))
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), traceKey{}, "t1")))
			*seen = append(*seen, session.From(r).Get("n"))
		})
	}
}

// inFlamego has Flamego call middleware for net/http, as docs/recipes.md says.
func inFlamego(mw func(http.Handler) http.Handler) flamego.Handler {
	return func(c flamego.Context) {
		mw(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.Request().Request = r
			c.Map(r).MapTo(w, (*http.ResponseWriter)(nil))
			c.Next()
		})).ServeHTTP(c.ResponseWriter(), c.Request().Request)
	}
}

// TestFrom uses the session in handlers and middleware for net/http.
func TestFrom(t *testing.T) {
	var seen []any
	a := newApp(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sub/{name}", plainCounter)
	a.Get("/plain", session.InContext, plainCounter)
	a.Get("/handler", session.InContext, http.HandlerFunc(plainCounter).ServeHTTP)
	a.Get("/timeout", session.InContext, http.TimeoutHandler(http.HandlerFunc(plainCounter), 1e11, "").ServeHTTP)
	a.Any("/mux/{**}", session.InContext, http.StripPrefix("/mux", mux).ServeHTTP)
	a.Group("/group", func() {
		a.Get("/plain", plainCounter)
		a.Get("/flamego", func(c flamego.Context, r *http.Request, s session.Session) string {
			assert.Same(t, r, c.Request().Request)
			assert.Equal(t, "t1", r.Context().Value(traceKey{}))
			assert.Equal(t, s, session.From(r))
			return fmt.Sprint(session.Update(session.From(r), "n", func(n int) int { return n + 1 }))
		})
	}, session.InContext, inFlamego(audited(&seen)))
	a.Get("/without", plainCounter)

	id, n := "", 0
	for _, path := range []string{"/plain", "/handler", "/timeout", "/mux/sub/x", "/group/plain", "/group/flamego"} {
		rec, set := a.get(path, id)
		if set != "" {
			id = set
		}
		n++
		assert.Equal(t, http.StatusOK, rec.Code, path)
		assert.Equal(t, fmt.Sprint(n), rec.Body.String(), path)
		assert.Equal(t, "Cookie", rec.Header().Get("Vary"), path)
	}
	assert.Equal(t, []any{4, 5, 5, 6}, seen)
	rec, _ := a.get("/without", id)
	assert.Equal(t, http.StatusTeapot, rec.Code)
	assert.Nil(t, session.From(httptest.NewRequest(http.MethodGet, "/", nil)))
	assert.Empty(t, a.errs.all())
}

// TestFromWithoutASession forgets the Sessioner: the developer hears of it.
func TestFromWithoutASession(t *testing.T) {
	f := flamego.NewWithLogger(io.Discard)
	f.Get("/", session.InContext, plainCounter)
	defer func() { require.Contains(t, fmt.Sprint(recover()), "session.Session") }()
	f.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}
