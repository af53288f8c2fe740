// Package sessiontest helps application authors test handlers that use sessions. A Browser
// visits the application without a network, keeps cookies, follows redirects, and can be
// signed in by the test. A Clock moves time forward, so that no test has to wait for a session
// to expire.
package sessiontest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/carry"
	"github.com/flamego/session/internal/hook"
	"github.com/flamego/session/internal/txn"
)

// Browser visits an application under test. It keeps cookies and follows redirects as
// net/http's client does. The test can look at its session, and put things into it. There is
// no network: it calls the handler, as if over a TLS connection to https://localhost, or to
// the Domain of the first Manager's cookie. Its methods may be called concurrently, like the
// tabs of one browser.
type Browser struct {
	// Header is sent with every request, except for fields that the request sets itself. A
	// session that is carried by a header is kept here: delete the field to sign out. If the
	// application has its own ReadIDFunc, the test must set the field. Change Header only
	// while no request is in progress.
	Header http.Header

	*guest
	m     *session.Manager
	stays bool
}

// guest is what all views of a Browser share.
type guest struct {
	t        testing.TB
	h        http.Handler
	managers []*session.Manager
	jar      http.CookieJar
	host     string

	mu sync.Mutex // also of the Browser's Header
	at *url.URL   // the latest page
}

// NewBrowser returns a visitor without a session. h is the application, and m and more are the
// Managers that it uses. Session, SetSession, SignIn, Flash and SetFlash apply to the session
// of m; use Of for the others.
func NewBrowser(t testing.TB, h http.Handler, m *session.Manager, more ...*session.Manager) *Browser {
	jar, _ := cookiejar.New(nil) // Never fails.
	v := &guest{t: t, h: h, managers: append([]*session.Manager{m}, more...), jar: jar, at: new(url.URL)}
	v.host = cmp.Or(strings.TrimPrefix(hook.Cookie(m).Domain, "."), "localhost")
	return &Browser{Header: make(http.Header), guest: v, m: m}
}

// Of returns the same visitor, but its Session, SetSession, SignIn, Flash and SetFlash apply
// to the session of m, which must be one of the Managers passed to NewBrowser.
func (b *Browser) Of(m *session.Manager) *Browser {
	b.t.Helper()
	if !slices.Contains(b.managers, m) {
		b.t.Fatalf("sessiontest: Of: the Manager is not one of those that NewBrowser was given")
	}
	other := *b
	other.m = m
	return &other
}

// NoRedirects returns the same visitor, but it does not follow redirects: the Page is then the
// redirect itself.
func (b *Browser) NoRedirects() *Browser {
	other := *b
	other.stays = true
	return &other
}

// Page is a response.
type Page struct {
	Status int
	Header http.Header
	Body   string
	URL    string // where redirects have led to, path and query
}

// Get requests a page by its path and query, or by its whole URL, and follows redirects. Like
// a browser, it announces that a person will see the page (session.Navigation), unless Header
// says otherwise: {"Sec-Fetch-Mode": {"cors"}} is a request by a script.
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

func (b *Browser) request(method, path string, body io.Reader) *http.Request {
	b.t.Helper()
	req, err := http.NewRequest(method, path, body)
	if err != nil {
		b.t.Fatalf("sessiontest: %v", err)
	}
	if b.Header.Get("Sec-Fetch-Mode") == "" {
		req.Header.Set("Sec-Fetch-Mode", "navigate")
		req.Header.Set("Sec-Fetch-Dest", "document")
	}
	return req
}

// Do sends any request with the browser's cookies and headers, and follows redirects, ten at
// most. As browsers do, it repeats a POST with its body after 307 and 308, and sends a GET
// after other redirects. It does not follow a redirect to another host: the Page is then the
// redirect itself.
func (b *Browser) Do(req *http.Request) Page {
	b.t.Helper()
	req = req.Clone(req.Context())
	req.RequestURI = "" // From httptest.NewRequest. A client must not set it.
	if req.URL.Host == "" {
		req.URL, req.Host = b.home("/").ResolveReference(req.URL), ""
	}
	repeatable(req)
	client := http.Client{Jar: b.jar, Transport: (*direct)(b), CheckRedirect: func(next *http.Request, via []*http.Request) error {
		switch {
		case b.stays || next.URL.Host != req.URL.Host:
			return http.ErrUseLastResponse
		case len(via) > 10:
			return errors.New("more than 10 redirects")
		}
		return nil
	}}
	res, err := client.Do(req)
	if err != nil {
		b.t.Fatalf("sessiontest: %v", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatalf("sessiontest: %v", err)
	}
	at := res.Request.URL
	b.mu.Lock()
	b.at = at
	b.mu.Unlock()
	return Page{Status: res.StatusCode, Header: res.Header, Body: string(body), URL: at.RequestURI()}
}

// repeatable keeps what is read of a body that can be read only once, for a redirect that
// needs it again.
func repeatable(req *http.Request) {
	if req.Body == nil || req.Body == http.NoBody || req.GetBody != nil {
		return
	}
	var read bytes.Buffer
	rest := io.TeeReader(req.Body, &read)
	req.Body = io.NopCloser(rest)
	req.GetBody = func() (io.ReadCloser, error) {
		again := bytes.NewReader(bytes.Clone(read.Bytes()))
		return io.NopCloser(io.MultiReader(again, rest)), nil
	}
}

// direct calls the handler in the place of a network.
type direct Browser

func (b *direct) RoundTrip(req *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	b.h.ServeHTTP(rec, (*Browser)(b).atServer(req))
	res := rec.Result()
	res.Request = req
	(*Browser)(b).keep(res.Header)
	return res, nil
}

// atServer returns the request as a server sees it.
func (b *Browser) atServer(req *http.Request) *http.Request {
	got := req.Clone(req.Context())
	if got.Host == "" {
		got.Host = req.URL.Host
	}
	b.mu.Lock()
	for name, lines := range b.Header {
		if _, ok := got.Header[name]; !ok {
			got.Header[name] = slices.Clone(lines)
		}
	}
	b.mu.Unlock()
	if got.Body == nil {
		got.Body = http.NoBody
	}
	if req.URL.Scheme == "https" {
		got.TLS = &tls.ConnectionState{}
	}
	got.RemoteAddr = "192.0.2.1:1234" // As in httptest: of a network for documentation.
	got.RequestURI = req.URL.RequestURI()
	got.URL.Scheme, got.URL.Host = "", ""
	return got
}

// keep stores the headers by which Managers tell the client a new ID, or the end of one.
func (b *Browser) keep(h http.Header) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.managers {
		for _, c := range hook.Carriers(m) {
			switch lines, ok := h[c.Header]; {
			case ok && strings.Join(lines, "") == "":
				delete(b.Header, c.Header)
			case ok:
				b.Header[c.Header] = lines
			}
		}
	}
}

// home is a page of the site.
func (b *Browser) home(path string) *url.URL {
	return &url.URL{Scheme: "https", Host: b.host, Path: path}
}

// SetSession gives the browser a new session with the given contents, as if earlier requests
// had set them.
func (b *Browser) SetSession(contents map[string]any) {
	b.t.Helper()
	b.SignIn("", contents)
}

// SignIn gives the browser a new session with the given contents and owner, as if a sign-in
// handler had called session.SetOwner. It fails the test if the Manager cannot list sessions.
func (b *Browser) SignIn(owner string, contents map[string]any) {
	b.t.Helper()
	sess, err := b.m.Store().Read(context.Background(), strings.ToLower(rand.Text()))
	if err != nil {
		b.t.Fatalf("sessiontest: %v", err)
	}
	for key, val := range contents {
		sess.Set(key, val)
	}
	if owner != "" {
		if err := session.SetOwner(sess, owner); err != nil {
			b.t.Fatalf("sessiontest: %v", err)
		}
	}
	b.save(sess)
}

// SetFlash leaves a flash for the browser's next request, as if the previous request had set
// it. It creates a session if there is none.
func (b *Browser) SetFlash(val any) {
	b.t.Helper()
	if b.Session() == nil {
		b.SetSession(nil)
	}
	sess := b.Session()
	sess.SetFlash(val)
	b.save(sess)
}

// save stores a session, and has the Manager tell the browser its ID.
func (b *Browser) save(sess session.Session) {
	b.t.Helper()
	value, err := hook.Save(context.Background(), b.m, sess)
	if err != nil {
		b.t.Fatalf("sessiontest: %v", err)
	}
	if b.value() == value {
		return
	}
	rec, req := httptest.NewRecorder(), b.here()
	// A query parameter is not written to the response.
	if i := slices.IndexFunc(hook.Carriers(b.m), func(c *carry.Carrier) bool { return c.Param == "" }); i >= 0 {
		hook.Carriers(b.m)[i].Write(rec, b.atServer(req), value, 0)
	}
	res := rec.Result()
	b.jar.SetCookies(req.URL, res.Cookies())
	b.keep(res.Header)
	if b.value() != value {
		b.t.Fatalf("sessiontest: this Manager tells clients no ID that they send back by themselves: have the Browser call the handler that signs in, and put what it answers into Browser.Header")
	}
}

// here returns a request to the site that carries everything the browser holds of the session:
// it is for the cookie's path, and has the query of the latest page, which may contain an ID.
func (b *Browser) here() *http.Request {
	u := b.home(hook.Cookie(b.m).Path)
	b.mu.Lock()
	u.RawQuery = b.at.RawQuery
	b.mu.Unlock()
	req := httptest.NewRequest(http.MethodGet, u.String(), nil)
	for _, c := range b.jar.Cookies(u) {
		req.AddCookie(c)
	}
	return req
}

// value is what the browser holds of the session: its ID or, where the client keeps the
// session, all of it.
func (b *Browser) value() string {
	for _, c := range hook.Carriers(b.m) {
		for _, value := range c.Read(b.atServer(b.here()), nil) {
			if hook.IsValid(b.m, value) {
				return value
			}
		}
	}
	return ""
}

// Session returns the browser's session as it is stored, or nil if there is none, such as
// after signing out. Changes to the returned Session are not stored.
func (b *Browser) Session() session.Session {
	b.t.Helper()
	value := b.value()
	ctx := context.Background()
	if !b.m.Store().Exist(ctx, value) {
		return nil
	}
	sess, err := b.m.Store().Read(ctx, value)
	if err != nil {
		b.t.Fatalf("sessiontest: %v", err)
	}
	return sess
}

// Flash returns the flash that the browser's next request will receive, or nil. Flashes left
// by session.AddFlash are a []any.
func (b *Browser) Flash() any {
	b.t.Helper()
	sess := b.Session()
	if sess == nil {
		return nil
	}
	flash := sess.Get(txn.FlashKey)
	if list, ok := flash.(txn.Flashes); ok {
		return []any(list)
	}
	return flash
}
