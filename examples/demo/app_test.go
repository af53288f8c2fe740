package main

import (
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
	"github.com/flamego/session/examples/internal/exampletest"
	"github.com/flamego/session/sessiontest"
)

// site is the site under test, which keeps its sessions in memory.
type site struct {
	*sessiontest.Clock
	users *session.Manager
	app   http.Handler
}

// newConfig is that of a server alone.
func newConfig() config {
	memory := backend{title: "memory", open: func(_ string, lifetime time.Duration) (session.Initer, any) {
		return session.MemoryIniter(), session.MemoryConfig{Lifetime: lifetime}
	}}
	return config{backend: memory, lifetime: 90 * time.Minute, name: "One", release: 2}
}

func newSite(t *testing.T) *site {
	cfg := newConfig()
	s := &site{Clock: sessiontest.NewClock()}
	s.users = exampletest.Open(t, sessionOptions(cfg), s.Clock)
	s.app = newApp(cfg, s.users, newAccounts(1)) // One round: how slow it is matters elsewhere.
	return s
}

func (s *site) visitor(t *testing.T) *sessiontest.Browser {
	return sessiontest.NewBrowser(t, s.app, s.users)
}

// member returns a browser that is signed in.
func (s *site) member(t *testing.T, name string) *sessiontest.Browser {
	t.Helper()
	b := s.visitor(t)
	require.Contains(t, b.Post("/signin", signInAs(name)).Body, "Welcome, "+name)
	return b
}

func newVisitor(t *testing.T) *sessiontest.Browser { return newSite(t).visitor(t) }

func signInAs(name string) url.Values {
	return url.Values{"name": {name}, "password": {everyPassword}}
}

// What holds for every page, whatever is on it.
func TestEveryPage(t *testing.T) {
	s := newSite(t)
	guest, member := s.visitor(t), s.member(t, "Ann")
	pages := map[string]sessiontest.Page{
		"home":      guest.Get("/"),
		"sign in":   guest.Get("/signin"),
		"no name":   guest.Post("/signin", nil),
		"account":   member.Get("/account"),
		"sessions":  member.Get("/account/sessions"),
		"not found": member.Get("/nowhere"),
	}
	title := regexp.MustCompile(`<title>(.+) · Server One · version 2</title>`)
	field := regexp.MustCompile(`<input [^>]*>`)
	titles := make(map[string]bool)
	for name, p := range pages {
		for part, count := range map[string]int{
			`<html lang="en">`: 1, `<h1>`: 1, `<main id="main"`: 1, `href="#main"`: 1, `role="status"`: 1,
			`<script`: 0, `style="`: 0, "ZgotmplZ": 0,
		} {
			assert.Equal(t, count, strings.Count(p.Body, part), "%s: how often has it %s", name, part)
		}
		assert.NotRegexp(t, `<[^>]* on[a-z]+=`, p.Body, name)
		fields := 0
		for _, f := range field.FindAllString(p.Body, -1) {
			switch {
			case strings.Contains(f, `type="hidden"`):
			case strings.Contains(f, `type="checkbox"`):
				fields++
			default:
				fields++
				assert.Contains(t, f, "autocomplete=", name)
			}
		}
		assert.Equal(t, fields, strings.Count(p.Body, "<label"), "%s: a field without a label", name)
		policy := p.Header.Get("Content-Security-Policy")
		assert.Contains(t, policy, "default-src 'none'", name)
		assert.Contains(t, policy, "frame-ancestors 'none'", name)
		assert.NotContains(t, policy, "script-src", name)
		assert.Equal(t, "no-store", p.Header.Get("Cache-Control"), name)
		assert.Contains(t, p.Body, "One ends after 90 minutes without a visit.", name)
		require.Regexp(t, title, p.Body, name)
		titles[title.FindString(p.Body)] = true
	}
	assert.Len(t, titles, len(pages), "pages with the same title: %v", titles)
	assert.Equal(t, http.StatusNotFound, pages["not found"].Status)
}

func TestSignInForm(t *testing.T) {
	for name, tt := range map[string]struct {
		typed, password, problem, field string
	}{
		"empty":          {"", everyPassword, "Enter your name", "name"},
		"blanks":         {" \t", everyPassword, "Enter your name", "name"},
		"too long":       {strings.Repeat("é", maxTyped+1), "", "shorter name", "name"},
		"no text":        {"\xff\xfe", "", "shorter name", "name"},
		"wrong password": {"Ann", "open", "No account has this name and password", ""},
		"no password":    {"Ann", "", "No account has this name and password", ""},
		"nobody":         {"Dave", everyPassword, "No account has this name and password", ""},
		"nobody at all":  {"Dave", "", "No account has this name and password", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newVisitor(t)
			p := b.Post("/signin", url.Values{"name": {tt.typed}, "password": {tt.password}})
			assert.Equal(t, http.StatusUnprocessableEntity, p.Status)
			assert.Contains(t, p.Body, tt.problem)
			if tt.field != "" {
				assert.Contains(t, p.Body, `aria-invalid="true" aria-describedby="name-error"`)
			}
			assert.Nil(t, b.Session(), "a mistake made a session")
		})
	}
}

func TestNamesAreText(t *testing.T) {
	p := newVisitor(t).Post("/signin", url.Values{"name": {`<b>"&'`}})
	assert.NotContains(t, p.Body, "<b>")
	assert.Contains(t, p.Body, `value="&lt;b&gt;&#34;&amp;&#39;"`)
	assert.Equal(t, "/account", newSite(t).member(t, "Ann").Get("/signin").URL, "there is nothing to sign in for")
}

func TestReturnTo(t *testing.T) {
	b := newVisitor(t)
	p := b.Post("/signin", signInAs("Ann"))
	assert.Equal(t, "/", p.URL, "nowhere was asked for")
	b.Post("/signout", nil)

	b.Get("/account?tab=2")
	p = b.Post("/signin", signInAs("Ann"))
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
	page := b.NoRedirects().Post("/signin", signInAs("Ann"))
	assert.Equal(t, "/", page.Header.Get("Location"))
}

// What a visitor has done moves along when they sign in; what another user has done does
// not.
func TestNextUser(t *testing.T) {
	b := newVisitor(t)
	b.SetSession(map[string]any{keyCounter: 7})
	b.Post("/signin", signInAs("Ann"))
	assert.Equal(t, 7, b.Session().Get(keyCounter))
	b.Get("/account")
	assert.Contains(t, b.Get("/account").Body, `<dd id="visits">2</dd>`)
	b.Post("/signin", signInAs("Bob"))
	assert.Contains(t, b.Get("/account").Body, `<dd id="visits">1</dd>`)
	assert.Nil(t, b.Session().Get(keyCounter))
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
	b.SetFlash(good("Saved."))
	p := b.Get("/style.css")
	assert.Equal(t, http.StatusOK, p.Status)
	assert.Equal(t, "text/css; charset=utf-8", p.Header.Get("Content-Type"))
	assert.Equal(t, "max-age=300", p.Header.Get("Cache-Control"))
	assert.Equal(t, http.StatusOK, b.Get("/icon.svg").Status)
	assert.Equal(t, good("Saved."), b.Flash())
}

// A form on another site must not act for the visitor, nor may a link.
func TestOtherSites(t *testing.T) {
	s := newSite(t)
	b := s.member(t, "Carol")
	b.Post("/counter", nil)
	paths := []string{
		"/signin", "/signout", "/counter", "/counter/reset", "/basket", "/account/sessions/end", "/account/sessions/end-others",
	}
	for name, header := range map[string][2]string{
		"another site":   {"Sec-Fetch-Site", "cross-site"},
		"another port":   {"Sec-Fetch-Site", "same-site"},
		"an old browser": {"Origin", "https://evil.example"},
	} {
		for _, path := range paths {
			req := httptest.NewRequest(http.MethodPost, path, nil)
			req.Header.Set(header[0], header[1])
			assert.Equal(t, http.StatusForbidden, b.Do(req).Status, "%s from %s", path, name)
		}
	}
	for _, path := range paths {
		if status := b.Get(path).Status; status != http.StatusNotFound {
			assert.Contains(t, []string{"/signin"}, path, "GET may do what POST does")
		}
	}
	assert.Equal(t, "carol", session.Owner(b.Session()))
	assert.Equal(t, 1, b.Session().Get(keyCounter))
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
