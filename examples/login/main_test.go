package main

import (
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/examples/internal/exampletest"
	"github.com/flamego/session/sessiontest"
)

func start(t *testing.T) (*exampletest.Browser, *sessiontest.Clock) {
	clock := sessiontest.NewClock()
	m := exampletest.Open(t, options(filepath.Join(t.TempDir(), "app.db")), clock)
	return exampletest.NewBrowser(t, exampletest.Serve(t, newApp(m))), clock
}

func TestSignInAndOut(t *testing.T) {
	b, _ := start(t)
	assert.Equal(t, "/login", b.Get("/").Path, "nobody is signed in")
	assert.Empty(t, b.Cookies(), "asking for the page makes no session")
	assert.Equal(t, "/login", b.Post("/login", url.Values{"username": {" "}}).Path, "no name")

	p := b.Post("/login", url.Values{"username": {"<Ann>"}})
	assert.Equal(t, "/", p.Path)
	assert.Contains(t, p.Body, "Welcome, &lt;Ann&gt;")
	assert.Contains(t, b.Get("/login").Body, "You are signed in as &lt;Ann&gt;.")

	before := b.Cookies()
	require.Len(t, before, 1)
	assert.Contains(t, b.Post("/login", url.Values{"username": {"Bob"}}).Body, "Welcome, Bob")
	assert.NotEqual(t, before[0].Value, b.Cookies()[0].Value, "signing in gives a new ID")
	assert.Equal(t, "/login", b.WithCookies(before).Get("/").Path, "the old ID is dead")

	assert.Equal(t, http.StatusNotFound, b.Get("/logout").Status, "no link signs anybody out")
	before = b.Cookies()
	assert.Equal(t, "/login", b.Post("/logout", nil).Path)
	assert.Empty(t, b.Cookies(), "the cookie is removed")
	assert.Equal(t, "/login", b.WithCookies(before).Get("/").Path, "a copy of it does not help")
}

func TestRemember(t *testing.T) {
	const soon = 65 * time.Minute // more than the lifetime and its twentieth
	b, clock := start(t)
	b.Post("/login", url.Values{"username": {"Ann"}})
	clock.Advance(soon)
	assert.Equal(t, "/login", b.Get("/").Path, "not remembered, and idle for an hour")

	b.Post("/login", url.Values{"username": {"Ann"}, "remember": {"on"}})
	for range 3 {
		clock.Advance(29 * day)
		assert.Equal(t, "/", b.Get("/").Path, "remembered, and used within thirty days")
	}
	clock.Advance(3 * day)
	assert.Equal(t, "/login", b.Get("/").Path, "ninety days are the end")

	// Signing in without the box undoes Remember.
	b.Post("/login", url.Values{"username": {"Ann"}, "remember": {"on"}})
	b.Post("/login", url.Values{"username": {"Ann"}})
	clock.Advance(soon)
	assert.Equal(t, "/login", b.Get("/").Path)
}
