package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

// TestFlood has somebody without a session send eight IDs that nobody has: that costs no more
// than four round trips, whatever the options and the handler.
func TestFlood(t *testing.T) {
	verbs := map[string]func(s session.Session){
		"reads":  func(s session.Session) { s.Get("k") },
		"sets":   func(s session.Session) { s.Set("k", 1) },
		"flash":  func(s session.Session) { session.AddFlash(s, "f") },
		"asks":   func(s session.Session) { _ = s.ID() },
		"takes":  func(s session.Session) { _, _, _ = session.Take[int](t.Context(), s, "k") },
		"update": func(s session.Session) { session.Update(s, "k", func(n int) int { return n + 1 }) },
		"rotate": func(s session.Session) { s.Set("k", 1); _ = session.Remember(s, time.Hour) },
	}
	options := map[string]func(o *session.Options){
		"HashIDs":          func(o *session.Options) { o.HashIDs = true },
		"RenewEvery":       func(o *session.Options) { o.RenewEvery = time.Hour },
		"AbsoluteLifetime": func(o *session.Options) { o.AbsoluteLifetime = time.Hour },
		"Transport": func(o *session.Options) {
			o.Transport = session.FirstOf(session.CookieTransport(), session.HeaderTransport("X-Session"))
		},
		"MaxSize": func(o *session.Options) { o.MaxSize = 1 << 20 },
	}
	var names []string
	for name := range options {
		names = append(names, name)
	}
	var cookies []string
	for i := range 8 {
		cookies = append(cookies, fmt.Sprintf("flamego_session=%032d", i))
	}
	for set := range 1 << len(names) {
		var with []string
		b := newFaultyBackend()
		a := newApp(t, func(o *session.Options) {
			o.Initer = initer(manyBackend{b}, session.StoreConfig{})
			for i, name := range names {
				if set&(1<<i) != 0 {
					with = append(with, name)
					options[name](o)
				}
			}
		})
		for verb, act := range verbs {
			a.Get("/"+verb, act)
			before := b.calls.Load()
			rec := a.ask("/"+verb, "Cookie", strings.Join(cookies, "; "), "X-Session", strings.Repeat("9", 32))
			require.Equal(t, 200, rec.Code)
			assert.LessOrEqual(t, b.calls.Load()-before, int64(4), "%s with %v", verb, with)
		}
	}
}

// TestReportsOfOneClient has one client cause the same report with each request: ErrorFunc hears
// of it once a minute, and how often it was.
func TestReportsOfOneClient(t *testing.T) {
	now := time.Now()
	a := newApp(t, func(o *session.Options) {
		o.MaxSize = 1000
		hook.SetClock(o, func() time.Time { return now })
	})
	a.Get("/set", func(s session.Session) { s.Set("k", 1) })
	a.Get("/large", func(s session.Session) { s.Set("k", strings.Repeat("x", 2000)) })
	_, one := a.get("/set", "")
	_, two := a.get("/set", "")
	for path, cookie := range map[string]string{
		"/set":   "flamego_session=" + one + "; flamego_session=" + two,
		"/large": "flamego_session=" + one,
	} {
		a.errs.clear()
		for range 200 {
			a.ask(path, "Cookie", cookie)
		}
		require.Len(t, a.errs.all(), 1, path)
		now = now.Add(time.Minute)
		a.ask(path, "Cookie", cookie)
		require.Len(t, a.errs.all(), 2, path)
		assert.ErrorContains(t, a.errs.last(), "and 199 more", path)
		now = now.Add(time.Minute)
		a.ask(path, "Cookie", cookie)
		assert.NotContains(t, a.errs.last().Error(), " more ", path)
	}
}
