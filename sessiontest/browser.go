package sessiontest

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

// Browser visits an application under test. It keeps cookies and follows
// redirects, and the test may look at its session and put things into it. There
// is no network: pages are asked for over an imagined TLS connection to
// https://localhost, so that secure cookies work too. A Browser must not be used
// concurrently; several of them are several visitors, and may be.
type Browser struct {
	t   testing.TB
	h   http.Handler
	m   *session.Manager
	jar http.CookieJar
}

// NewBrowser returns a visitor without a session. The handler is the
// application, which uses the Manager.
func NewBrowser(t testing.TB, h http.Handler, m *session.Manager) *Browser {
	jar, _ := cookiejar.New(nil) // Never fails.
	return &Browser{t: t, h: h, m: m, jar: jar}
}

// Page is a response.
type Page struct {
	Status int
	Header http.Header
	Body   string
	URL    string // where redirects have led to, path and query
}

var home = &url.URL{Scheme: "https", Host: "localhost", Path: "/"}

// Get asks for a page by its path and query, and follows redirects.
func (b *Browser) Get(path string) Page {
	b.t.Helper()
	return b.Do(b.request(http.MethodGet, path, nil))
}

// Post sends a form, and follows redirects.
func (b *Browser) Post(path string, form url.Values) Page {
	b.t.Helper()
	req := b.request(http.MethodPost, path, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.Do(req)
}

// Do sends a request of any kind, with the browser's cookies, and follows
// redirects, ten at most.
func (b *Browser) Do(req *http.Request) Page {
	b.t.Helper()
	for range 10 {
		req.URL.Scheme, req.URL.Host = home.Scheme, home.Host
		for _, c := range b.jar.Cookies(req.URL) {
			req.AddCookie(c)
		}
		rec := httptest.NewRecorder()
		b.h.ServeHTTP(rec, req)
		res := rec.Result()
		b.jar.SetCookies(req.URL, res.Cookies())
		to, err := res.Location()
		if res.StatusCode/100 != 3 || err != nil {
			return Page{Status: res.StatusCode, Header: res.Header, Body: rec.Body.String(), URL: req.URL.RequestURI()}
		}
		if to = req.URL.ResolveReference(to); to.Host != home.Host {
			b.t.Fatalf("sessiontest: %s redirects to another host, %s", req.URL.Path, to.Host)
		}
		req = b.request(http.MethodGet, to.RequestURI(), nil)
	}
	b.t.Fatalf("sessiontest: %s: more than ten redirects", req.URL.Path)
	return Page{}
}

func (b *Browser) request(method, path string, body io.Reader) *http.Request {
	req := httptest.NewRequest(method, path, body)
	req.Host = home.Host
	req.TLS = &tls.ConnectionState{}
	return req
}

// SetSession gives the browser a new session with the given contents, as if
// earlier requests had set them.
func (b *Browser) SetSession(contents map[string]any) {
	b.t.Helper()
	if hook.CookieName(b.m) == "" {
		b.t.Fatalf("sessiontest: SetSession: Options.Transport of this Manager has no cookie: have the Browser call the handler that signs in, and send what it answers")
	}
	ctx := context.Background()
	sess, err := b.m.Store().Read(ctx, strings.ToLower(rand.Text()))
	if err != nil {
		b.t.Fatalf("sessiontest: %v", err)
	}
	for key, val := range contents {
		sess.Set(key, val)
	}
	b.save(sess)
}

// SetFlash leaves a flash for the browser's next request, as if the one before
// had. It makes a session if there is none.
func (b *Browser) SetFlash(val any) {
	b.t.Helper()
	if b.Session() == nil {
		b.SetSession(nil)
	}
	sess := b.Session()
	sess.SetFlash(val)
	b.save(sess)
}

func (b *Browser) save(sess session.Session) {
	b.t.Helper()
	value, err := hook.Save(context.Background(), b.m, sess)
	if err != nil {
		b.t.Fatalf("sessiontest: %v", err)
	}
	b.jar.SetCookies(home, []*http.Cookie{{Name: hook.CookieName(b.m), Value: value, Path: "/", Secure: true}})
}

// Session returns the browser's session as it is stored, to look at what was
// set, or nil if there is none, such as after signing out. Changes are not
// stored.
func (b *Browser) Session() session.Session {
	b.t.Helper()
	id := ""
	for _, c := range b.jar.Cookies(home) {
		if c.Name == hook.CookieName(b.m) {
			id = c.Value
		}
	}
	ctx := context.Background()
	if !b.m.Store().Exist(ctx, id) {
		return nil
	}
	sess, err := b.m.Store().Read(ctx, id)
	if err != nil {
		b.t.Fatalf("sessiontest: %v", err)
	}
	return sess
}

// Flash returns the flash that the browser's next request will get, or nil.
func (b *Browser) Flash() any {
	b.t.Helper()
	if sess := b.Session(); sess != nil {
		return sess.Get("flamego::session::flash")
	}
	return nil
}
