package main

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/examples/internal/exampletest"
)

// start runs the program on a free port and returns where it listens.
func start(t *testing.T, exe string, env ...string) (p *exampletest.Process, site string) {
	t.Helper()
	p = exampletest.Start(t, t.TempDir(), exe, env, "-addr", "127.0.0.1:0")
	link := regexp.MustCompile(`^Serving on (http://\S+)`)
	p.WaitLine(func(line string) bool {
		found := link.FindStringSubmatch(line)
		if found != nil {
			site = found[1]
		}
		return found != nil
	})
	return p, site
}

func TestProgram(t *testing.T) {
	exe := filepath.Join(exampletest.Build(t, "."), "cookie")
	env := "SESSION_KEY=" + strings.Repeat("0123456789abcdef", 4)
	p, site := start(t, exe, env)
	b := exampletest.NewBrowser(t, site)

	page := b.Get("/")
	assert.Equal(t, "/login", page.Path)
	assert.Contains(t, page.Body, "Log in")
	assert.Empty(t, b.Cookies(), "looking made a session")

	page = b.Post("/login", nil)
	require.Equal(t, http.StatusOK, page.Status)
	assert.Equal(t, "/", page.Path)
	assert.Contains(t, page.Body, "Welcome to the Home Page!")
	first := b.Cookies()
	require.Len(t, first, 1)
	assert.Greater(t, len(first[0].Value), 100)
	assert.NotContains(t, first[0].Value, "authenticated")

	// Signing in again gives another session.
	b.Post("/login", nil)
	assert.NotEqual(t, first[0].Value, b.Cookies()[0].Value)

	// Nothing is on the server, so a restart changes nothing.
	p.Stop()
	_, site = start(t, exe, env)
	b.Visit(site)
	assert.Contains(t, b.Get("/").Body, "Welcome to the Home Page!")

	// Somebody else, and a cookie that somebody has changed.
	assert.Equal(t, "/login", exampletest.NewBrowser(t, site).Get("/").Path)
	bad := *b.Cookies()[0]
	bad.Value = bad.Value[:100] + "AAAA" + bad.Value[104:]
	page = b.WithCookies([]*http.Cookie{&bad}).Get("/")
	assert.Equal(t, "/login", page.Path)
	assert.Equal(t, http.StatusOK, page.Status)

	// Another key, as without the variable.
	_, other := start(t, exe, "SESSION_KEY=")
	b.Visit(other)
	assert.Equal(t, "/login", b.Get("/").Path)
	b.Visit(site)

	page = b.Post("/logout", nil)
	assert.Equal(t, "/login", page.Path)
	assert.Empty(t, b.Cookies())
	assert.Equal(t, "/login", b.Get("/").Path)

	// A key of another length does not start.
	wrong := exampletest.Start(t, t.TempDir(), exe, []string{"SESSION_KEY=abcd"}, "-addr", "127.0.0.1:0")
	assert.Equal(t, 1, wrong.Wait())
	assert.Contains(t, wrong.Output(), "openssl rand -hex 32")
}
