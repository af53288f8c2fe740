package session_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

// TestReminderInPublicResponse has a cookie due in a response that shared caches may
// keep, and give to others.
func TestReminderInPublicResponse(t *testing.T) {
	for policy, sent := range map[string]bool{
		"": true, "no-store": true, "private, max-age=60": true, "no-cache": true,
		"public": false, "Public, max-age=60": false, "max-age=60": false, "s-maxage=60": false,
	} {
		t.Run(policy, func(t *testing.T) {
			var at atomic.Int64
			now := func() time.Time { return time.Unix(1e9+at.Load(), 0) }
			a := newApp(t, func(o *session.Options) { o.Cookie.MaxAge = 3600; hook.SetClock(o, now) })
			a.Get("/new", func(s session.Session) { s.Set("k", 1) })
			a.Get("/flash", func(s session.Session) { s.SetFlash("hello") })
			a.Get("/page", func(c flamego.Context) string {
				if policy != "" {
					c.ResponseWriter().Header().Set("Cache-Control", policy)
				}
				return "the same for everybody"
			})
			_, id := a.get("/new", "")
			at.Add(600)
			for range 2 { // With a flash to be taken, and without.
				_, told := a.get("/page", id)
				assert.Equal(t, sent, told == id)
				assert.Equal(t, sent, told != "")
				_, told = a.get("/flash", id)
				assert.Equal(t, !sent, told == id, "what a public response left out comes with the next one")
				_, told = a.get("/flash", id)
				assert.Empty(t, told, "not more often than needed")
				at.Add(180)
			}
		})
	}
}

// TestLongerMaxAge gives visitors a longer Max-Age than that of the cookie they have, where
// no response can tell them. Whoever comes twice a day keeps the cookie.
func TestLongerMaxAge(t *testing.T) {
	const day = 24 * time.Hour
	for _, edit := range []bool{false, true} {
		var at atomic.Int64
		b := newFaultyBackend()
		server := func(maxAge time.Duration) *app {
			return newUserApp(t, nil, func(o *session.Options) {
				o.Initer = initer(b, session.StoreConfig{Lifetime: 30 * day})
				o.Cookie.MaxAge = int(maxAge / time.Second)
				hook.SetClock(o, func() time.Time { return time.Unix(1e9+at.Load(), 0) })
			})
		}
		a := server(day)
		_, id := a.get("/set", "")
		if edit {
			require.NoError(t, a.m.Edit(t.Context(), id, func(s session.Session) error { return session.Remember(s, 30*day) }))
		} else {
			a = server(30 * day)
		}
		at.Add(int64(day/time.Second) / 2)
		rec, told := a.get("/who", id)
		require.Equal(t, id, told)
		assert.Equal(t, int(30*day/time.Second), rec.Result().Cookies()[0].MaxAge)
		_, told = a.get("/who", id)
		assert.Empty(t, told)
	}
}

// TestRememberedByAnother remembers a visitor from outside of a request, who has just been
// told of a cookie that ends with the browser. The next response sends the other one.
func TestRememberedByAnother(t *testing.T) {
	const month = 30 * 24 * time.Hour
	a := newUserApp(t, nil)
	a.Get("/remember", func(s session.Session) error { return session.Remember(s, month) })
	a.Get("/forget", func(s session.Session) error { return session.Remember(s, 0) })
	_, id := a.get("/set", "")
	for _, path := range []string{"/remember", "/forget"} {
		_, told := a.get(path, id)
		require.Equal(t, id, told)
	}
	require.NoError(t, a.m.Edit(t.Context(), id, func(s session.Session) error { return session.Remember(s, month) }))
	rec, told := a.get("/who", id)
	require.Equal(t, id, told)
	assert.Equal(t, int(month/time.Second), rec.Result().Cookies()[0].MaxAge)
}

// TestReminderAndCDN has the headers for CDNs (RFC 9213) allow what Cache-Control does
// not, and Cache-Control leave open what a shared cache may do. Neither may make one
// keep the cookie.
func TestReminderAndCDN(t *testing.T) {
	for _, test := range []struct {
		name, policy, cdn string
		sent              bool
		after             string // Cache-Control
	}{
		{"CDN-Cache-Control", "no-cache", "max-age=600", false, "no-cache"},
		{"CDN-Cache-Control", "private", "max-age=600", false, "private"},
		{"CDN-Cache-Control", "private", "no-store", true, "private"},
		{"Surrogate-Control", "no-store", "max-age=600", false, "no-store"},
		{"Surrogate-Control", "", "max-age=600", false, ""},
		{"X-Other", "private, max-age=60", "max-age=600", true, "private, max-age=60"},
		{"X-Other", "no-cache", "", true, "no-store"},
		{"X-Other", "must-revalidate", "", true, "no-store"},
	} {
		var at atomic.Int64
		a := newApp(t, func(o *session.Options) {
			o.Cookie.MaxAge = 3600
			hook.SetClock(o, func() time.Time { return time.Unix(1e9+at.Load(), 0) })
		})
		a.Get("/new", func(s session.Session) { s.Set("k", 1) })
		a.Get("/page", func(c flamego.Context) {
			h := c.ResponseWriter().Header()
			if h.Set(test.name, test.cdn); test.policy != "" {
				h.Set("Cache-Control", test.policy)
			}
		})
		_, id := a.get("/new", "")
		at.Add(600)
		rec, told := a.get("/page", id)
		assert.Equal(t, test.sent, told == id, test)
		assert.Equal(t, test.after, rec.Header().Get("Cache-Control"), test)
	}
}

// TestNoReminderInPublicResponse commits more than a refreshed cookie before the
// response turns out to be one that shared caches may keep: the client must be told, or
// it is left with a dead ID.
func TestNoReminderInPublicResponse(t *testing.T) {
	var at atomic.Int64
	now := func() time.Time { return time.Unix(1e9+at.Load(), 0) }
	a := newApp(t, func(o *session.Options) { o.Cookie.MaxAge = 3600; hook.SetClock(o, now) })
	public := func(c flamego.Context, s session.Session) string {
		require.NoError(t, session.Commit(t.Context(), s))
		c.ResponseWriter().Header().Set("Cache-Control", "public, max-age=60")
		return fmt.Sprint(s.Get("k"))
	}
	a.Get("/new", func(s session.Session) { s.Set("k", 1) })
	a.Get("/rotate", func(c flamego.Context, s session.Session) string {
		require.NoError(t, s.RegenerateID(c.ResponseWriter(), c.Request().Request))
		return public(c, s)
	})
	a.Get("/destroy", func(c flamego.Context, s session.Session) string { session.Destroy(s); return public(c, s) })
	a.Get("/remember", func(c flamego.Context, s session.Session) string {
		require.NoError(t, session.Remember(s, 2*time.Hour))
		return public(c, s)
	})
	a.Get("/read", public)

	_, id := a.get("/new", "")
	at.Add(600)
	_, moved := a.get("/rotate", id)
	require.NotEmpty(t, moved)
	rec, _ := a.get("/read", moved)
	assert.Equal(t, "1", rec.Body.String())
	rec, _ = a.get("/remember", moved)
	assert.Contains(t, rec.Header().Get("Set-Cookie"), "Max-Age=7200")
	assert.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
	at.Add(600)
	rec, _ = a.get("/destroy", moved)
	assert.Contains(t, rec.Header().Get("Set-Cookie"), "flamego_session=;")
}
