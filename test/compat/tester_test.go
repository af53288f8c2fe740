package compat

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/test/compat/legacy/app"
)

// page is an answer that a test looks at.
type page struct {
	status int
	body   string
	cookie *http.Cookie // set by this answer, or nil
}

// tester asks a handler, as one browser.
type tester struct {
	t      *testing.T
	url    string
	client http.Client
	header http.Header // sent along
}

func newTester(t *testing.T, h http.Handler) *tester {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &tester{t: t, url: srv.URL, client: http.Client{Jar: jar}, header: make(http.Header)}
}

func (b *tester) do(req *http.Request) page {
	b.t.Helper()
	for name, values := range b.header {
		req.Header[name] = values
	}
	res, err := b.client.Do(req)
	require.NoError(b.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	p := page{status: res.StatusCode, body: string(body)}
	for _, c := range res.Cookies() {
		require.Nil(b.t, p.cookie, "a second cookie")
		p.cookie = c
	}
	return p
}

func (b *tester) get(path string) page {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodGet, b.url+path, nil)
	require.NoError(b.t, err)
	return b.do(req)
}

// post sends a token in a form field, or none.
func (b *tester) post(path, token string) page {
	b.t.Helper()
	var form url.Values
	if token != "" {
		form = url.Values{"_csrf": {token}}
	}
	res, err := b.client.PostForm(b.url+path, form)
	require.NoError(b.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	return page{status: res.StatusCode, body: string(body)}
}

// manager opens a store of ours, which ends with the test.
func manager(t *testing.T, opt session.Options) *session.Manager {
	t.Helper()
	opt.ErrorFunc = func(err error) { t.Errorf("in the background: %v", err) }
	m, err := session.NewManager(opt)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close(context.Background())) })
	return m
}

// eachStore runs a test on our stores that need no server.
func eachStore(t *testing.T, test func(t *testing.T, opt session.Options)) {
	for _, cfg := range []app.Config{
		{Store: "memory"},
		{Store: "file", Path: t.TempDir()},
		{Store: "sqlite", Path: filepath.Join(t.TempDir(), "sessions.db"), InitTable: true},
	} {
		t.Run(cfg.Store, func(t *testing.T) { test(t, app.Options(cfg)) })
	}
}
