package exampletest

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// Browser visits a program over HTTP, keeps its cookies, and follows redirects.
type Browser struct {
	t      *testing.T
	client *http.Client
	site   *url.URL
}

// Page is a response, after redirects.
type Page struct {
	Status int
	Path   string
	Body   string
}

// NewBrowser returns a browser without cookies.
func NewBrowser(t *testing.T, site string) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &Browser{t: t, client: &http.Client{
		Jar:     jar,
		Timeout: patience,
		// Otherwise it would reuse connections to a process that has ended.
		Transport: &http.Transport{DisableKeepAlives: true},
	}}
	b.Visit(site)
	return b
}

// Visit switches the browser to another site, such as the same program on another port.
// Cookies go to every port of a host.
func (b *Browser) Visit(site string) {
	b.t.Helper()
	u, err := url.Parse(site)
	if err != nil {
		b.t.Fatal(err)
	}
	b.site = u
}

// Get requests a page.
func (b *Browser) Get(path string) Page {
	b.t.Helper()
	return b.do(http.MethodGet, path, nil)
}

// Post sends a form.
func (b *Browser) Post(path string, form url.Values) Page {
	b.t.Helper()
	return b.do(http.MethodPost, path, form)
}

func (b *Browser) do(method, path string, form url.Values) Page {
	b.t.Helper()
	req, err := http.NewRequest(method, b.site.String()+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return Page{Status: res.StatusCode, Path: res.Request.URL.Path, Body: string(body)}
}

// Cookies returns the browser's cookies.
func (b *Browser) Cookies() []*http.Cookie { return b.client.Jar.Cookies(b.site) }

// WithCookies returns another browser, that has the given cookies only.
func (b *Browser) WithCookies(cookies []*http.Cookie) *Browser {
	b.t.Helper()
	other := NewBrowser(b.t, b.site.String())
	other.client.Jar.SetCookies(b.site, cookies)
	return other
}
