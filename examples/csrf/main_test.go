package main

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/sessiontest"
)

const secret = "5e8b1f0c6d7a49320f4c8e1b2a3d4c5f"

// site is a server of the application. Several on one Manager are a fleet, or the
// same server before and after a restart.
func site(t *testing.T, m *session.Manager, secret string) http.Handler {
	t.Helper()
	app, err := newApp(m, secret)
	require.NoError(t, err)
	return app
}

func manager(t *testing.T) *session.Manager {
	t.Helper()
	m, err := session.NewManager(session.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Close(context.Background())) })
	return m
}

var field = regexp.MustCompile(`name="_csrf" value="([^"]+)"`)

// token is the one in the forms of the home page.
func token(t *testing.T, b *sessiontest.Browser) string {
	t.Helper()
	found := field.FindStringSubmatch(b.Get("/").Body)
	require.NotNil(t, found, "the page has no token")
	return found[1]
}

func post(b *sessiontest.Browser, path, token, key, value string) int {
	return b.NoRedirects().Post(path, url.Values{"_csrf": {token}, key: {value}}).Status
}

func signedIn(t *testing.T, h http.Handler, m *session.Manager, name string) *sessiontest.Browser {
	t.Helper()
	b := sessiontest.NewBrowser(t, h, m)
	require.Equal(t, http.StatusSeeOther, post(b, "/signin", token(t, b), "name", name))
	require.Contains(t, b.Get("/").Body, "Hello "+name)
	return b
}

func TestTokens(t *testing.T) {
	m := manager(t)
	h := site(t, m, secret)
	ann := sessiontest.NewBrowser(t, h, m)

	// Signing in takes a token as well, or others could sign Ann in as themselves.
	assert.Equal(t, http.StatusBadRequest, post(ann, "/signin", "", "name", "mallory"))
	before := token(t, ann)
	old := ann.Session().ID()
	require.Equal(t, http.StatusSeeOther, post(ann, "/signin", before, "name", "ann"))
	assert.NotEqual(t, old, ann.Session().ID())
	assert.False(t, m.Store().Exist(t.Context(), old), "whoever knew the ID is not signed in along")

	// A token from before is refused.
	assert.Equal(t, http.StatusBadRequest, post(ann, "/notes", before, "note", "forged"))
	mine := token(t, ann)
	assert.NotEqual(t, before, mine)
	assert.Equal(t, http.StatusSeeOther, post(ann, "/notes", mine, "note", "tea"))
	assert.Equal(t, http.StatusSeeOther, post(ann, "/notes", mine, "note", "sugar"), "it is for all forms, for a day")

	// Nor is that of another user.
	bob := signedIn(t, h, m, "bob")
	assert.Equal(t, http.StatusBadRequest, post(bob, "/notes", mine, "note", "forged"))
	assert.Equal(t, http.StatusBadRequest, post(ann, "/notes", token(t, bob), "note", "forged"))
	assert.Equal(t, http.StatusBadRequest, post(bob, "/notes", "", "note", "forged"))
	assert.Nil(t, bob.Session().Get("notes"))
	assert.Equal(t, []string{"tea", "sugar"}, ann.Session().Get("notes"))

	// After signing out, the visitor is nobody again.
	require.Equal(t, http.StatusSeeOther, post(ann, "/signout", mine, "", ""))
	assert.Nil(t, ann.Session())
	assert.Equal(t, http.StatusBadRequest, post(ann, "/signin", mine, "name", "ann"))
}

// TestSecret has a form that was open during a restart, or that another server of
// the fleet has made.
func TestSecret(t *testing.T) {
	m := manager(t)
	ann := signedIn(t, site(t, m, secret), m, "ann")
	of, id := token(t, ann), ann.Session().ID()
	again := func(secret string) int {
		b := sessiontest.NewBrowser(t, site(t, m, secret), m)
		b.Header.Set("Cookie", "flamego_session="+id)
		return post(b, "/notes", of, "note", "tea")
	}
	assert.Equal(t, http.StatusSeeOther, again(secret))
	assert.Equal(t, http.StatusBadRequest, again(strings.ToUpper(secret)))

	_, err := newApp(m, "secret")
	assert.ErrorContains(t, err, "CSRF_SECRET")
}

func TestPagesWithoutForms(t *testing.T) {
	m := manager(t)
	b := sessiontest.NewBrowser(t, site(t, m, secret), m)
	page := b.Get("/about")
	assert.Equal(t, http.StatusOK, page.Status)
	assert.Empty(t, page.Header.Get("Set-Cookie"), "no token, and no session to keep it in")
}

// TestDocs checks that what the documentation shows is this program.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/csrf.md")
	require.NoError(t, err)
	program, err := os.ReadFile("main.go")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?ms)^```golang\n(.*?)^```").FindAllSubmatch(page, -1)
	require.NotEmpty(t, blocks)
	for _, b := range blocks {
		assert.Contains(t, flat(program), flat(b[1]))
	}
}

// flat is code without its indentation.
func flat(code []byte) string {
	lines := bytes.Split(bytes.TrimSpace(code), []byte("\n"))
	for i := range lines {
		lines[i] = bytes.TrimSpace(lines[i])
	}
	return string(bytes.Join(lines, []byte("\n")))
}
