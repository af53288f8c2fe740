package session_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

// newRenewingApp is an application that renews IDs every ten minutes, and its clock.
func newRenewingApp(t *testing.T, hash bool) (a *app, pass func(time.Duration)) {
	now := time.Now()
	a = newUserApp(t, nil, func(o *session.Options) {
		o.RenewEvery, o.HashIDs = 10*time.Minute, hash
		hook.SetClock(o, func() time.Time { return now })
	})
	a.Get("/public", func(c flamego.Context, s session.Session) {
		s.Get("user")
		c.ResponseWriter().Header().Set("Cache-Control", "public, max-age=60")
	})
	return a, func(d time.Duration) { now = now.Add(d) }
}

// TestRenewEvery follows a session through renewals, with a client that does not hear of
// them at first.
func TestRenewEvery(t *testing.T) {
	for _, hash := range []bool{false, true} {
		a, pass := newRenewingApp(t, hash)
		who := func(id, want string) (sent string) {
			t.Helper()
			rec, sent := a.get("/who", id)
			require.Equal(t, http.StatusOK, rec.Code)
			require.Equal(t, want, rec.Body.String())
			return sent
		}
		_, id := a.get("/in", "")
		assert.Empty(t, who(id, "42"), "it is young")
		pass(10 * time.Minute)
		rec, sent := a.get("/public", id)
		assert.Empty(t, sent, "a shared cache would keep the cookie")
		assert.Equal(t, "public, max-age=60", rec.Header().Get("Cache-Control"))

		second := who(id, "42")
		require.NotEmpty(t, second, "it is renewed")
		require.NotEqual(t, id, second)
		assert.Empty(t, who(second, "42"))
		assert.Empty(t, who(id, "42"), "the response with the new ID is on its way")
		pass(30 * time.Second)
		assert.Equal(t, second, who(id, "42"), "the client has not got it: once more")
		list, err := a.m.Sessions(t.Context(), "42")
		require.NoError(t, err)
		assert.Len(t, list, 1)

		pass(5 * time.Minute)
		who(id, "<nil>")
		pass(5 * time.Minute)
		third := who(second, "42")
		require.NotEmpty(t, third)

		// What the handler ends or moves has no way back, whichever ID it came with.
		_, fourth := a.get("/rotate", second)
		require.NotEmpty(t, fourth)
		who(third, "<nil>")
		who(second, "<nil>")
		pass(10 * time.Minute)
		fifth := who(fourth, "42")
		a.get("/out", fourth)
		for _, old := range []string{id, second, third, fourth, fifth} {
			who(old, "<nil>")
		}
	}
}

// TestRenewedSignsOut signs out through the Store, as with a token, by the ID that the
// client has not replaced yet. After RegenerateID the old ID is nobody's.
func TestRenewedSignsOut(t *testing.T) {
	for _, hash := range []bool{false, true} {
		a, pass := newRenewingApp(t, hash)
		_, id := a.get("/in", "")
		pass(10 * time.Minute)
		_, second := a.get("/who", id)
		require.NotEmpty(t, second)
		require.NoError(t, a.m.Store().Destroy(t.Context(), id))
		for _, old := range []string{id, second} {
			rec, _ := a.get("/who", old)
			assert.Equal(t, "<nil>", rec.Body.String())
		}
		assert.EqualValues(t, 1, a.m.Stats().Ended)

		_, id = a.get("/in", "")
		_, second = a.get("/rotate", id)
		require.NoError(t, a.m.Store().Destroy(t.Context(), id))
		rec, _ := a.get("/who", second)
		assert.Equal(t, "42", rec.Body.String())
	}
}

// TestRenewalMeetsRenewal has many requests find the session's ID too old at the same
// time. All see the session, and what they store survives.
func TestRenewalMeetsRenewal(t *testing.T) {
	a, pass := newRenewingApp(t, false)
	a.Get("/count", func(s session.Session) {
		session.Update(s, "n", func(n int) int { return n + 1 })
	})
	var n int
	a.Get("/n", func(s session.Session) { n, _ = session.Get[int](s, "n") })
	_, id := a.get("/in", "")
	pass(10 * time.Minute)
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			rec, _ := a.get("/count", id)
			assert.Equal(t, http.StatusOK, rec.Code)
		})
	}
	wg.Wait()
	a.get("/n", id)
	assert.Equal(t, 40, n)
}

// TestRenewEveryOptions checks what is refused.
func TestRenewEveryOptions(t *testing.T) {
	_, err := session.NewManager(session.Options{RenewEvery: time.Minute})
	assert.ErrorContains(t, err, "RenewEvery is 1m0s")
	own := func(context.Context, ...interface{}) (session.Store, error) { return &plainStore{}, nil }
	_, err = session.NewManager(session.Options{Initer: own, RenewEvery: time.Hour})
	assert.ErrorContains(t, err, "RenewEvery")
}
