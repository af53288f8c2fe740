package main

import (
	"context"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/examples/internal/exampletest"
	"github.com/flamego/session/sessiontest"
)

func start(t *testing.T, observe func(a *app, ctx context.Context, e session.Event)) (site string) {
	clock, dsn := sessiontest.NewClock(), filepath.Join(t.TempDir(), "app.db")
	a := &app{pages: exampletest.Open(t, pageOptions(dsn), clock)}
	opt := apiOptions(dsn)
	if observe != nil {
		opt.Observe = func(ctx context.Context, e session.Event) { observe(a, ctx, e) }
	}
	a.api = exampletest.Open(t, opt, clock)
	return exampletest.Serve(t, a.routes())
}

func signedIn(t *testing.T, site, name string) *exampletest.Browser {
	b := exampletest.NewBrowser(t, site)
	require.Contains(t, b.Post("/signin", url.Values{"name": {name}}).Body, "New token")
	return b
}

// program calls the API, and returns the user, or nothing.
func program(t *testing.T, site, token string) string {
	t.Helper()
	b := exampletest.NewBrowser(t, site)
	b.Header.Set("Authorization", "Bearer "+token)
	page := b.Get("/api/me")
	assert.Empty(t, b.Cookies())
	if page.Status == http.StatusUnauthorized {
		return ""
	}
	assert.Equal(t, http.StatusOK, page.Status)
	return page.Body
}

var (
	shown  = regexp.MustCompile(`<code>([0-9a-z]{32})</code>`)
	handle = regexp.MustCompile(`name="handle" value="([^"]+)"`)
)

func newToken(t *testing.T, b *exampletest.Browser, label string) string {
	t.Helper()
	page := b.Post("/tokens", url.Values{"label": {label}})
	found := shown.FindStringSubmatch(page.Body)
	require.NotNil(t, found, page.Body)
	assert.Equal(t, "no-store", page.Header.Get("Cache-Control"))
	assert.NotContains(t, b.Get("/").Body, found[1], "it is shown once")
	return found[1]
}

func TestTokens(t *testing.T) {
	site := start(t, nil)
	ann, bob := signedIn(t, site, "ann"), signedIn(t, site, "bob")
	backup, mobile := newToken(t, ann, "backup"), newToken(t, ann, "<mobile>")
	bobs := newToken(t, bob, "backup")
	assert.Equal(t, "ann\n", program(t, site, backup))
	assert.Equal(t, "ann\n", program(t, site, mobile))
	assert.Equal(t, "bob\n", program(t, site, bobs))
	assert.Contains(t, ann.Get("/").Body, "<li>backup, last used")
	assert.Contains(t, ann.Get("/").Body, "<li>&lt;mobile&gt;, last used")

	// What is good for one is not good for the other.
	assert.Empty(t, program(t, site, ann.Cookies()[0].Value), "the cookie is no token")
	b := ann.WithCookies([]*http.Cookie{{Name: "flamego_session", Value: backup}})
	assert.Contains(t, b.Get("/").Body, "Sign in")
	b = exampletest.NewBrowser(t, site)
	b.Header.Set("Authorization", "Bearer "+backup)
	assert.Contains(t, b.Get("/").Body, "Sign in")
	assert.NotContains(t, b.Post("/tokens", nil).Body, "<code>", "a token makes no tokens")

	// Of two tokens one is revoked, by its user and by nobody else.
	first := handle.FindStringSubmatch(ann.Get("/").Body)[1]
	bob.Post("/revoke", url.Values{"handle": {first}})
	assert.Equal(t, "ann\n", program(t, site, backup))
	page := ann.Post("/revoke", url.Values{"handle": {first}})
	assert.NotContains(t, page.Body, "backup")
	assert.Empty(t, program(t, site, backup))
	assert.Equal(t, "ann\n", program(t, site, mobile))
	assert.Equal(t, http.StatusOK, ann.Post("/revoke", url.Values{"handle": {first}}).Status, "twice is fine")

	// Signing out ends the other browser and the programs.
	other := signedIn(t, site, "ann")
	assert.Contains(t, ann.Post("/signout", nil).Body, "Sign in")
	assert.Empty(t, ann.Cookies())
	assert.Contains(t, other.Get("/").Body, "Sign in")
	assert.Empty(t, program(t, site, mobile))
	assert.Equal(t, "bob\n", program(t, site, bobs))
}

// TestSignOutDuringToken signs out elsewhere when a token is about to be stored.
func TestSignOutDuringToken(t *testing.T) {
	var due atomic.Bool
	site := start(t, func(a *app, ctx context.Context, e session.Event) {
		if e.Op != "" && due.CompareAndSwap(true, false) {
			assert.NoError(t, a.pages.EndAll(ctx, "ann"))
			assert.NoError(t, a.api.EndAll(ctx, "ann"))
		}
	})
	b := signedIn(t, site, "ann")
	due.Store(true)
	page := b.Post("/tokens", url.Values{"label": {"backup"}})
	require.False(t, due.Load())
	assert.Equal(t, http.StatusOK, page.Status)
	assert.Contains(t, page.Body, "Sign in")
	assert.Contains(t, signedIn(t, site, "ann").Get("/").Body, "<ul>\n</ul>", "there is no token")
}
