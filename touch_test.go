package session_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

// TestTouchOvertaken lets another request change or end the session just before one
// slides its expiry (G9). That is not an error.
func TestTouchOvertaken(t *testing.T) {
	now := time.Unix(1e9, 0)
	a := newApp(t, func(o *session.Options) { hook.SetClock(o, func() time.Time { return now }) })
	a.Get("/set", func(s session.Session) { s.Set("k", 1) })
	a.Get("/add", func(s session.Session) { session.Update(s, "k", func(n int) int { return n + 1 }) })
	a.Get("/read", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	a.Get("/short", func(s session.Session) error { return session.SetLifetime(s, time.Minute) })
	a.Get("/remember", func(s session.Session) error { return session.Remember(s, time.Minute) })
	a.Get("/end", func(s session.Session) { session.Destroy(s) })
	a.Get("/flash", func(s session.Session) { s.SetFlash("hi") })
	a.Get("/take", func(f session.Flash) string { return fmt.Sprint(f) })
	// later is a session that is to be touched with the next access.
	touched := 0
	later := func(before func(id string)) string {
		_, id := a.get("/set", "")
		now = now.Add(30 * time.Minute)
		touched = 0
		a.b.around = func(_ context.Context, method, _ string, do func() error) error {
			if method == "Touch" {
				if touched++; touched == 1 {
					before(id)
				}
			}
			return do()
		}
		return id
	}
	expiry := func(id string) time.Duration {
		a.b.mu.Lock()
		defer a.b.mu.Unlock()
		return a.b.records[id].Expiry.Sub(now)
	}

	id := later(func(id string) { a.get("/short", id) })
	rec, _ := a.get("/read", id)
	assert.Equal(t, "1", rec.Body.String())
	assert.Equal(t, time.Minute+3*time.Second, expiry(id), "what another request decided")
	assert.NoError(t, a.errs.last())
	assert.Equal(t, 2, touched, "the version that was found instead need not be touched")

	// Nor is there anything to tell the client: the other response has done it.
	id = later(func(id string) { a.get("/remember", id) })
	rec, _ = a.get("/read", id)
	assert.Empty(t, rec.Header().Get("Set-Cookie"))

	// The version that the other request stored is the one to go on with.
	id = later(func(id string) { a.get("/add", id) })
	a.get("/add", id)
	rec, _ = a.get("/read", id)
	assert.Equal(t, "3", rec.Body.String())

	id = later(func(id string) { a.get("/end", id) })
	rec, _ = a.get("/read", id)
	assert.Equal(t, "<nil>", rec.Body.String())
	assert.Zero(t, rec.Header().Get("Set-Cookie"))
	assert.NoError(t, a.errs.last())

	// A flash that came meanwhile is for the next request.
	id = later(func(id string) { a.get("/flash", id) })
	rec, _ = a.get("/take", id)
	assert.Equal(t, "<nil>", rec.Body.String())
	rec, _ = a.get("/take", id)
	assert.Equal(t, "hi", rec.Body.String())

	// Through the Store as well.
	id = later(func(id string) { a.get("/short", id) })
	require.NoError(t, a.m.Store().Touch(t.Context(), id))
	assert.Equal(t, time.Minute+3*time.Second, expiry(id))
	id = later(func(id string) { a.get("/end", id) })
	require.NoError(t, a.m.Store().Touch(t.Context(), id))
	assert.NoError(t, a.errs.last())

	// It cannot be found out whether the session is still there: it was, just now.
	id = later(func(id string) { a.get("/add", id); a.b.failReads.Store(true) })
	rec, _ = a.get("/read", id)
	assert.Equal(t, http.StatusOK, rec.Code)
	assert.Equal(t, "1", rec.Body.String())
	assert.ErrorIs(t, a.errs.last(), errDown)
	a.b.failReads.Store(false)
}

// TestTouchedTwice slides the expiry in two requests at once: the data is the same, so
// both succeed.
func TestTouchedTwice(t *testing.T) {
	now := time.Unix(1e9, 0)
	var loads int
	for name, opt := range map[string]func(o *session.Options){
		"backend": func(*session.Options) {},
		"memory":  func(o *session.Options) { o.Initer, o.Config = nil, nil },
	} {
		a := newApp(t, opt, func(o *session.Options) {
			o.Cookie.MaxAge = 7200
			hook.SetClock(o, func() time.Time { return now })
		})
		a.Get("/set", func(s session.Session) { s.Set("k", 1) })
		a.Get("/read", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
		_, id := a.get("/set", "")
		now = now.Add(30 * time.Minute)
		a.b.before("Touch", func() {
			rec, _ := a.get("/read", id)
			assert.True(t, strings.Contains(rec.Header().Get("Set-Cookie"), "Max-Age=7200"), name)
			loads++
		})
		rec, _ := a.get("/read", id)
		first := name == "memory" // Nobody came between.
		assert.Equal(t, first, strings.Contains(rec.Header().Get("Set-Cookie"), "Max-Age=7200"), "the cookie is sent once")
		assert.NoError(t, a.errs.last(), name)
	}
	assert.Equal(t, 1, loads)
}
