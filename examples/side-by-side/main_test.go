package main

import (
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/examples/internal/exampletest"
	"github.com/flamego/session/sessiontest"
)

func TestUsersAndAdministrators(t *testing.T) {
	clock := sessiontest.NewClock()
	dsn := filepath.Join(t.TempDir(), "app.db")
	admins := exampletest.Open(t, adminOptions(), clock)
	app := newApp(exampletest.Open(t, userOptions(dsn), clock), admins)
	b := exampletest.NewBrowser(t, exampletest.Serve(t, app))
	sees := func(p exampletest.Page, user, admin string) {
		t.Helper()
		assert.Contains(t, p.Body, "User: "+user)
		assert.Contains(t, p.Body, "Administrator: "+admin)
	}
	sees(b.Get("/"), "nobody", "nobody")
	assert.Empty(t, b.Cookies())

	p := b.Post("/login", url.Values{"name": {"Ann"}})
	sees(p, "Ann", "nobody")
	assert.Contains(t, p.Body, "Welcome.")
	p = b.Post("/admin/login", url.Values{"name": {"Root"}})
	sees(p, "Ann", "Root")
	assert.Contains(t, p.Body, "You may do anything now.")
	assert.NotContains(t, p.Body, "Welcome.", "each flash is shown once")
	require.Len(t, b.Cookies(), 2)

	// The administrator's session ends earlier,
	clock.Advance(20 * time.Minute)
	sees(b.Get("/"), "Ann", "nobody")
	// and each can be left without the other.
	b.Post("/admin/login", url.Values{"name": {"Root"}})
	sees(b.Post("/logout", nil), "nobody", "Root")
	b.Post("/login", url.Values{"name": {"Bob"}})
	sees(b.Post("/admin/logout", nil), "Bob", "nobody")

	// A restart of the program signs administrators out, and nobody else.
	b.Post("/admin/login", url.Values{"name": {"Root"}})
	app = newApp(exampletest.Open(t, userOptions(dsn), clock), exampletest.Open(t, adminOptions(), clock))
	b.Visit(exampletest.Serve(t, app))
	sees(b.Get("/"), "Bob", "nobody")
}
