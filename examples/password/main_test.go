package main

import (
	"context"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/examples/internal/exampletest"
	"github.com/flamego/session/sessiontest"
)

const old, fresh = "correct horse", "battery staple"

func signInWith(b *exampletest.Browser, password string) exampletest.Page {
	return b.Post("/signin", url.Values{"name": {"ann"}, "password": {password}})
}

func TestChange(t *testing.T) {
	m := exampletest.Open(t, session.Options{}, sessiontest.NewClock())
	site := exampletest.Serve(t, newApp(m, newAccounts()))
	laptop, phone := exampletest.NewBrowser(t, site), exampletest.NewBrowser(t, site)

	assert.Contains(t, signInWith(laptop, "wrong").Body, "That is not the password.")
	assert.Contains(t, laptop.Get("/").Body, "Sign in")
	require.Contains(t, signInWith(laptop, old).Body, "Devices: 1")
	require.Contains(t, signInWith(phone, old).Body, "Devices: 2")
	// Somebody has copied the laptop's cookie.
	thief := laptop.WithCookies(laptop.Cookies())
	require.Contains(t, thief.Get("/").Body, "Hello ann")

	page := laptop.Post("/password", url.Values{"old": {"wrong"}, "new": {fresh}})
	assert.Contains(t, page.Body, "That is not the password.")
	assert.Contains(t, phone.Get("/").Body, "Hello ann", "nothing has changed")

	page = laptop.Post("/password", url.Values{"old": {old}, "new": {fresh}})
	assert.Equal(t, http.StatusOK, page.Status)
	assert.Contains(t, page.Body, "all other devices are signed out")
	assert.Contains(t, page.Body, "Hello ann. Devices: 1")
	assert.NotContains(t, phone.Get("/").Body, "Hello")
	assert.NotContains(t, thief.Get("/").Body, "Hello")
	assert.Contains(t, laptop.Get("/").Body, "Hello ann")

	assert.Contains(t, signInWith(phone, old).Body, "That is not the password.")
	assert.Contains(t, signInWith(phone, fresh).Body, "Devices: 2")

	// Who is not signed in has no password to change.
	stranger := exampletest.NewBrowser(t, site)
	page = stranger.Post("/password", url.Values{"old": {""}, "new": {"mine"}})
	assert.Contains(t, page.Body, "That is not the password.")
}

// TestChangeDuringSignIn changes the password when a sign-in has just checked the old one:
// before it says whose session it is, and afterwards, when it has stored nothing yet that
// could be ended.
func TestChangeDuringSignIn(t *testing.T) {
	for when := range 3 { // Which call of the store it meets.
		a := newAccounts()
		var m *session.Manager
		var calls atomic.Int64
		opt := session.Options{Observe: func(ctx context.Context, e session.Event) {
			if e.Op != "" && calls.Add(1) == int64(when+1) {
				a.change("ann", fresh)
				assert.NoError(t, m.EndAll(ctx, "ann"))
			}
		}}
		m = exampletest.Open(t, opt, sessiontest.NewClock())
		b := exampletest.NewBrowser(t, exampletest.Serve(t, newApp(m, a)))
		page := signInWith(b, old)
		require.Equal(t, http.StatusOK, page.Status, page.Body)
		require.Greater(t, calls.Load(), int64(when))
		assert.NotContains(t, page.Body, "Hello")
		assert.NotContains(t, b.Get("/").Body, "Hello")
		assert.Contains(t, signInWith(b, fresh).Body, "Devices: 1")
	}
}
