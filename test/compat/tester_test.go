package compat

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/webclient"
	"github.com/flamego/session/test/compat/legacy/app"
)

// page is an answer that a test looks at.
type page struct {
	status int
	body   string
	cookie *http.Cookie // set by this answer, or nil
}

// tester asks a handler, as one browser.
type tester struct{ *webclient.Browser }

func newTester(t *testing.T, h http.Handler) *tester {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return &tester{webclient.New(t, srv.URL)}
}

func (b *tester) do(req *http.Request) page {
	got := b.Do(req)
	p := page{status: got.Status, body: got.Body}
	for _, c := range (&http.Response{Header: got.Header}).Cookies() {
		if p.cookie != nil {
			panic("a second cookie")
		}
		p.cookie = c
	}
	return p
}

func (b *tester) get(path string) page { return b.do(b.Request(http.MethodGet, path, nil)) }

// post sends a token in a form field, or none.
func (b *tester) post(path, token string) page {
	var form url.Values
	if token != "" {
		form = url.Values{"_csrf": {token}}
	}
	got := b.Post(path, form)
	return page{status: got.Status, body: got.Body}
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
