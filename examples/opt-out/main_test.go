package main

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/examples/internal/exampletest"
	"github.com/flamego/session/sessiontest"
)

func start(t *testing.T) (*sessiontest.Clock, *session.Manager, *exampletest.Browser) {
	clock := sessiontest.NewClock()
	m := exampletest.Open(t, options(), clock)
	b := exampletest.NewBrowser(t, exampletest.Serve(t, newApp(m)))
	require.Contains(t, b.Post("/signin", url.Values{"name": {"ann"}}).Body, "Hello ann")
	return clock, m, b
}

func TestWithoutTheMiddleware(t *testing.T) {
	_, m, b := start(t)
	before := m.Stats()
	for _, path := range []string{"/healthz", "/style.css"} {
		page := b.Get(path)
		assert.Equal(t, http.StatusOK, page.Status)
		assert.NotContains(t, page.Header.Values("Vary"), "Cookie")
	}
	assert.Equal(t, "public, max-age=3600", b.Get("/style.css").Header.Get("Cache-Control"))
	assert.Equal(t, before, m.Stats(), "the session is not even loaded")

	assert.Contains(t, b.Get("/").Header.Values("Vary"), "Cookie")
	assert.Equal(t, before.Loaded+1, m.Stats().Loaded)
}

func TestPollsKeepNobodySignedIn(t *testing.T) {
	clock, _, b := start(t)
	for range 18 {
		clock.Advance(time.Minute)
		require.Equal(t, "3", b.Get("/unread").Body)
	}
	assert.Contains(t, b.Get("/").Body, "Hello ann", "the visitor is back")
	polls := 0
	for ; b.Get("/unread").Status == http.StatusOK; polls++ {
		require.Less(t, polls, 30, "the polls keep the session alive")
		clock.Advance(time.Minute)
	}
	assert.GreaterOrEqual(t, polls, 20, "the visitor's own request counted")
	assert.Contains(t, b.Get("/").Body, "Sign in")
}
