package main

import (
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/examples/internal/exampletest"
	"github.com/flamego/session/sessiontest"
)

func start(t *testing.T) string {
	return exampletest.Serve(t, newApp(exampletest.Open(t, options(), sessiontest.NewClock())))
}

// walker has no cookies, and knows of the site what is in its pages.
type walker struct {
	t    *testing.T
	at   *url.URL
	body string
	head http.Header
}

func (w *walker) visit(method, ref string, form url.Values) {
	w.t.Helper()
	to, err := w.at.Parse(ref)
	require.NoError(w.t, err)
	var res *http.Response
	if method == http.MethodPost {
		res, err = http.PostForm(to.String(), form)
	} else {
		res, err = http.Get(to.String())
	}
	require.NoError(w.t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	require.NoError(w.t, res.Body.Close())
	require.Equal(w.t, http.StatusOK, res.StatusCode)
	w.at, w.body, w.head = res.Request.URL, string(body), res.Header
}

var (
	href   = regexp.MustCompile(`href="([^"]*)"`)
	action = regexp.MustCompile(`action="([^"]*)"`)
)

// next finds the page's only link or form.
func (w *walker) next(attribute *regexp.Regexp) string {
	w.t.Helper()
	found := attribute.FindAllStringSubmatch(w.body, -1)
	require.Len(w.t, found, 1, w.body)
	return html.UnescapeString(found[0][1])
}

func (w *walker) id() string { return w.at.Query().Get("sid") }

// A client without a cookie jar signs in, sees three pages counted, and signs out.
func TestWalkWithoutCookies(t *testing.T) {
	site, err := url.Parse(start(t))
	require.NoError(t, err)
	w := &walker{t: t, at: site}
	w.visit(http.MethodGet, "/", nil)
	assert.NotContains(t, w.body, "sid=", "there is no session yet")

	w.visit(http.MethodPost, w.next(action), url.Values{"username": {"Ann"}})
	id := w.id()
	require.Len(t, id, 32)
	for _, want := range []string{"Ann, this is page 1.", "Ann, this is page 2.", "Ann, this is page 3."} {
		assert.Equal(t, "/count", w.at.Path)
		assert.Contains(t, w.body, want)
		assert.Equal(t, id, w.id())
		assert.Equal(t, "no-referrer", w.head.Get("Referrer-Policy"), "other sites must not learn the URL")
		assert.Equal(t, "no-store", w.head.Get("Cache-Control"), "nor caches")
		if want != "Ann, this is page 3." {
			w.visit(http.MethodGet, w.next(href), nil)
		}
	}
	counted := w.at.String()
	w.visit(http.MethodPost, w.next(action), nil)
	assert.Equal(t, "/", w.at.Path)
	assert.Empty(t, w.id())
	assert.Contains(t, w.body, "Sign in")

	w.visit(http.MethodGet, counted, nil)
	assert.Contains(t, w.body, "Sign in", "the URL from before is good for nothing")
}

// Somebody signs in by a link which another has sent them.
func TestSentLink(t *testing.T) {
	site, err := url.Parse(start(t))
	require.NoError(t, err)
	sender, victim := &walker{t: t, at: site}, &walker{t: t, at: site}
	sender.visit(http.MethodPost, "/login", url.Values{"username": {"Mallory"}})
	id := sender.id()

	victim.visit(http.MethodPost, "/login?sid="+id, url.Values{"username": {"Ann"}})
	assert.NotEqual(t, id, victim.id())
	assert.Contains(t, victim.body, "Ann, this is page 1.")
	sender.visit(http.MethodGet, "/count?sid="+id, nil)
	assert.Contains(t, sender.body, "Sign in", "the ID is not that of a session any more")
}

// A browser with cookies has clean URLs from its second page on.
func TestCookiesComeFirst(t *testing.T) {
	b := exampletest.NewBrowser(t, start(t))
	p := b.Post("/login", url.Values{"username": {"Ann"}})
	assert.Contains(t, p.Body, "Ann, this is page 1.")
	assert.NotContains(t, p.Body, "sid=")
	assert.NotContains(t, b.Get("/count").Body, "sid=")
	require.Len(t, b.Cookies(), 1)
	other := exampletest.NewBrowser(t, start(t))
	assert.Contains(t, other.Get("/count").Body, "Sign in")
}
