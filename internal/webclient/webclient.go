// Package webclient visits sites in tests by HTTP. For a handler and its Manager
// there is sessiontest.Browser, which needs no network.
package webclient

import (
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Browser keeps cookies and follows redirects, unless its CheckRedirect says
// otherwise. It may be used concurrently.
type Browser struct {
	http.Client
	Header http.Header // sent along; at first it asks for pages, as people do

	t    testing.TB
	site *url.URL
}

// Page is a response, after redirects. Its Status is 0 if there was none, which
// fails the test.
type Page struct {
	Status int
	Path   string
	Body   string
	Header http.Header
}

// New returns a browser without cookies.
func New(t testing.TB, site string) *Browser {
	t.Helper()
	jar, _ := cookiejar.New(nil) // Never fails.
	// With connections of its own, which end with the test.
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	page := http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}
	b := &Browser{t: t, Header: page, Client: http.Client{Jar: jar, Transport: transport, Timeout: time.Minute}}
	b.Visit(site)
	return b
}

// Visit has the browser ask another site from now on, such as the same program
// on another port. Cookies go to every port of a host.
func (b *Browser) Visit(site string) {
	b.t.Helper()
	u, err := url.Parse(site)
	if err != nil {
		b.t.Fatal(err)
	}
	b.site = u
}

// Stay has redirects returned instead of followed.
func (b *Browser) Stay() *Browser {
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return b
}

// Get asks for a page, by its path or its whole URL.
func (b *Browser) Get(path string) Page {
	b.t.Helper()
	return b.Do(b.Request(http.MethodGet, path, nil))
}

// Post sends a form.
func (b *Browser) Post(path string, form url.Values) Page {
	b.t.Helper()
	return b.Do(b.Request(http.MethodPost, path, form))
}

// Request is one to the site.
func (b *Browser) Request(method, path string, form url.Values) *http.Request {
	b.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = b.site.String() + path
	}
	req, err := http.NewRequest(method, path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

// Do sends a request.
func (b *Browser) Do(req *http.Request) Page {
	b.t.Helper()
	maps.Copy(req.Header, b.Header)
	res, err := b.Client.Do(req)
	if err != nil {
		b.t.Error(err)
		return Page{Body: err.Error()}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Error(err)
	}
	return Page{Status: res.StatusCode, Path: res.Request.URL.Path, Body: string(body), Header: res.Header}
}

// Cookies returns the browser's cookies.
func (b *Browser) Cookies() []*http.Cookie { return b.Jar.Cookies(b.site) }

// WithCookies returns another browser, that has the given cookies only.
func (b *Browser) WithCookies(cookies []*http.Cookie) *Browser {
	b.t.Helper()
	other := New(b.t, b.site.String())
	other.Jar.SetCookies(b.site, cookies)
	return other
}
