package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/sessiontest"
)

// newVisitor returns a visitor of the site, which keeps its sessions in memory.
func newVisitor(t *testing.T) *sessiontest.Browser {
	t.Helper()
	m, err := session.NewManager(session.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Close(context.Background())) })
	memory, _ := findBackend("memory")
	app := newApp(m, config{backend: memory, lifetime: 90 * time.Minute})
	return sessiontest.NewBrowser(t, app, m)
}

// What holds for every page, whatever is on it.
func TestEveryPage(t *testing.T) {
	guest := newVisitor(t)
	member := newVisitor(t)
	member.SetSession(map[string]any{keyUser: "Ann"})
	pages := map[string]sessiontest.Page{
		"home":      guest.Get("/"),
		"counter":   guest.Get("/counter"),
		"sign in":   guest.Get("/account"),
		"no name":   guest.Post("/signin", nil),
		"account":   member.Get("/account"),
		"not found": member.Get("/nowhere"),
	}
	title := regexp.MustCompile(`<title>(.+) · Session demo</title>`)
	titles := make(map[string]bool)
	for name, p := range pages {
		for part, count := range map[string]int{
			`<html lang="en">`: 1, `<h1>`: 1, `<main id="main"`: 1, `href="#main"`: 1, `role="status"`: 1,
			`<script`: 0, `style="`: 0,
		} {
			assert.Equal(t, count, strings.Count(p.Body, part), "%s: how often has it %s", name, part)
		}
		assert.NotRegexp(t, `<[^>]* on[a-z]+=`, p.Body, name)
		assert.Equal(t, strings.Count(p.Body, "<input"), strings.Count(p.Body, "<label"), "%s: a field without a label", name)
		assert.Contains(t, p.Header.Get("Content-Security-Policy"), "default-src 'none'", name)
		assert.Equal(t, "no-store", p.Header.Get("Cache-Control"), name)
		assert.Contains(t, p.Body, "not used for 1h30m is over", name)
		require.Regexp(t, title, p.Body, name)
		titles[title.FindString(p.Body)] = true
	}
	assert.Len(t, titles, len(pages), "pages with the same title: %v", titles)
	assert.Equal(t, http.StatusNotFound, pages["not found"].Status)
}

func TestSignInForm(t *testing.T) {
	for name, tt := range map[string]struct {
		typed, problem string
	}{
		"empty":    {"", "Enter a name"},
		"blanks":   {" \t", "Enter a name"},
		"too long": {strings.Repeat("é", maxName+1), "shorter name"},
		"no text":  {"\xff\xfe", "shorter name"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newVisitor(t)
			p := b.Post("/signin", url.Values{"name": {tt.typed}})
			assert.Equal(t, http.StatusUnprocessableEntity, p.Status)
			assert.Contains(t, p.Body, tt.problem)
			assert.Contains(t, p.Body, `aria-invalid="true" aria-describedby="name-error"`)
			assert.Nil(t, b.Session(), "a mistake made a session")
		})
	}
}

func TestNamesAreText(t *testing.T) {
	b := newVisitor(t)
	name := strings.Repeat("é", maxName-6) + `<b>"&'`
	p := b.Post("/signin", url.Values{"name": {" " + name + " "}})
	assert.Equal(t, http.StatusOK, p.Status)
	assert.NotContains(t, p.Body, "<b>")
	assert.Equal(t, name, b.Session().Get(keyUser))
}

func TestReturnTo(t *testing.T) {
	b := newVisitor(t)
	p := b.Post("/signin", url.Values{"name": {"Ann"}})
	assert.Equal(t, "/", p.URL, "nowhere was asked for")
	assert.Equal(t, "/account", b.Get("/signin").URL, "there is nothing to sign in for")
	b.Post("/signout", nil)

	b.Get("/account?tab=2")
	p = b.Post("/signin", url.Values{"name": {"Ann"}})
	assert.Equal(t, "/account?tab=2", p.URL)
	assert.Nil(t, b.Session().Get(keyReturnTo), "where to go is used once")
}

// A path with two slashes in front is the name of another site to a browser, and
// the part of this site that is asked for is up to whoever made the link.
func TestReturnToStaysHere(t *testing.T) {
	for target, want := range map[string]string{
		"//evil.example/..%2faccount": "/",
		"//evil.example/%2e%2e":       "/",
		"/%5cevil.example":            "/%5cevil.example", // Escaped, it is a path like any other.
	} {
		assert.Equal(t, want, returnTo(target), target)
	}
	for _, target := range []string{
		"", "//evil.example", "//", `/\evil.example`, `\\evil.example`, `/a\b`, "https://evil.example/", "javascript:alert(1)",
		"evil.example", "/\t/evil.example", "\t//evil.example", " //evil.example", "/\x00/evil.example", "/\n/evil.example",
	} {
		assert.Equal(t, "/", returnTo(target), "%q", target)
	}
	for _, target := range []string{"/", "/account", "/account?tab=2", "/account?next=//evil.example", "/a/b//c"} {
		assert.Equal(t, target, returnTo(target))
	}

	b := newVisitor(t)
	b.SetSession(map[string]any{keyReturnTo: "//evil.example/account"})
	page := b.NoRedirects().Post("/signin", url.Values{"name": {"Ann"}})
	assert.Equal(t, "/", page.Header.Get("Location"))
}

func TestVisitsAreOfOneUser(t *testing.T) {
	b := newVisitor(t)
	b.SetSession(map[string]any{keyUser: "Ann", keyVisits: 7})
	assert.Contains(t, b.Get("/account").Body, `<dd id="visits">8</dd>`)
	b.Post("/signin", url.Values{"name": {"Bob"}})
	assert.Contains(t, b.Get("/account").Body, `<dd id="visits">1</dd>`)
}

func TestResetCounter(t *testing.T) {
	b := newVisitor(t)
	b.SetSession(map[string]any{keyCounter: 7})
	p := b.Post("/counter/reset", nil)
	assert.Contains(t, p.Body, "The counter is back at zero.")
	assert.Contains(t, p.Body, "The counter is at </span>0<")
}

// The style sheet is asked for together with a page, and must leave it its flash.
func TestFilesLeaveTheFlash(t *testing.T) {
	b := newVisitor(t)
	b.SetFlash("Saved.")
	p := b.Get("/style.css")
	assert.Equal(t, http.StatusOK, p.Status)
	assert.Equal(t, "text/css; charset=utf-8", p.Header.Get("Content-Type"))
	assert.Equal(t, "max-age=300", p.Header.Get("Cache-Control"))
	assert.Equal(t, http.StatusOK, b.Get("/icon.svg").Status)
	assert.Equal(t, "Saved.", b.Flash())
}

// A form on another site must not act for the visitor, nor may a link.
func TestOtherSites(t *testing.T) {
	b := newVisitor(t)
	b.SetSession(map[string]any{keyUser: "Ann", keyCounter: 7})
	for name, header := range map[string][2]string{
		"another site":   {"Sec-Fetch-Site", "cross-site"},
		"another port":   {"Sec-Fetch-Site", "same-site"},
		"an old browser": {"Origin", "https://evil.example"},
	} {
		for _, path := range []string{"/signin", "/signout", "/counter", "/counter/reset"} {
			req := httptest.NewRequest(http.MethodPost, path, nil)
			req.Header.Set(header[0], header[1])
			assert.Equal(t, http.StatusForbidden, b.Do(req).Status, "%s from %s", path, name)
		}
	}
	for _, path := range []string{"/signout", "/counter/reset"} {
		assert.Equal(t, http.StatusNotFound, b.Get(path).Status)
	}
	assert.Equal(t, "Ann", b.Session().Get(keyUser))
	assert.Equal(t, 7, b.Session().Get(keyCounter))

}

func TestBodyLimit(t *testing.T) {
	b := newVisitor(t)
	long := strings.NewReader("name=Ann&more=" + strings.Repeat("x", 1<<20))
	req := httptest.NewRequest(http.MethodPost, "/signin", long)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	b.Do(req)
	assert.Greater(t, long.Len(), 1<<19, "a body without end is read to its end")
}

func TestLifetimeReachesTheStore(t *testing.T) {
	for _, b := range backends {
		_, cfg := b.open("x", 42*time.Minute)
		assert.EqualValues(t, 42*time.Minute, reflect.ValueOf(cfg).FieldByName("Lifetime").Int(), b.name)
	}
}

func TestSiteURL(t *testing.T) {
	for flag, want := range map[string]string{
		"localhost:0":    "http://localhost:2830",
		"127.0.0.1:2830": "http://127.0.0.1:2830",
		":2830":          "http://localhost:2830",
		"0.0.0.0:2830":   "http://localhost:2830",
		"[::]:2830":      "http://localhost:2830",
		"[::1]:2830":     "http://[::1]:2830",
	} {
		assert.Equal(t, want, siteURL(flag, addr("192.0.2.1:2830")), flag)
	}
}

type addr string

func (addr) Network() string  { return "tcp" }
func (a addr) String() string { return string(a) }
