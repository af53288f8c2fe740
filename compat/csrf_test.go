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

	"github.com/flamego/csrf"
	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/compat/legacy/app"
)

// forms is an application with forms that flamego/csrf guards.
func forms(m *session.Manager) *flamego.Flame {
	f := flamego.NewWithLogger(io.Discard)
	f.Use(m.Sessioner())
	f.Use(csrf.Csrfer())
	f.Get("/form", func(x csrf.CSRF) string { return x.Token() })
	f.Post("/form", csrf.Validate, func() string { return "accepted" })
	f.Post("/rotate", csrf.Validate, func(c flamego.Context, s session.Session) (string, error) {
		return "rotated", s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	})
	f.Post("/signin", csrf.Validate, func(c flamego.Context, s session.Session) (string, error) {
		s.Set("userID", "ann") // What the token is bound to.
		return "signed in", s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	})
	return f
}

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

func TestCSRF(t *testing.T) {
	eachStore(t, func(t *testing.T, opt session.Options) {
		m := manager(t, opt)
		b := newTester(t, forms(m))

		// The first GET makes a token, and with it the session.
		first := b.get("/form")
		token := first.body
		require.Equal(t, http.StatusOK, first.status)
		require.NotEmpty(t, token)
		require.NotNil(t, first.cookie, "the token is lost without a session")

		again := b.get("/form")
		assert.Equal(t, token, again.body, "the token must stay for forms that are open")
		assert.Nil(t, again.cookie, "nothing to tell the client")

		assert.Equal(t, page{status: http.StatusOK, body: "accepted"}, b.post("/form", token))
		assert.Equal(t, http.StatusBadRequest, b.post("/form", "").status)
		assert.Equal(t, http.StatusBadRequest, b.post("/form", token+"0").status)
		assert.Equal(t, http.StatusBadRequest, newTester(t, forms(m)).post("/form", token).status,
			"another application has another secret")

		// The token moves along with the session.
		require.Equal(t, "rotated", b.post("/rotate", token).body)
		assert.Equal(t, token, b.get("/form").body)
		assert.Equal(t, "accepted", b.post("/form", token).body)

		// Another user, another token.
		require.Equal(t, "signed in", b.post("/signin", token).body)
		assert.Equal(t, http.StatusBadRequest, b.post("/form", token).status)
		of := b.get("/form").body
		assert.NotEqual(t, token, of)
		assert.Equal(t, "accepted", b.post("/form", of).body)

		// The token in the header, as scripts send it.
		req, err := http.NewRequest(http.MethodPost, b.url+"/form", nil)
		require.NoError(t, err)
		req.Header.Set("X-CSRF-Token", of)
		assert.Equal(t, "accepted", b.do(req).body)
	})
}

// A first visit by POST has no token to check, and leaves no session behind.
func TestCSRFWithoutSession(t *testing.T) {
	eachStore(t, func(t *testing.T, opt session.Options) {
		m := manager(t, opt)
		b := newTester(t, forms(m))
		req, err := http.NewRequest(http.MethodPost, b.url+"/form", nil)
		require.NoError(t, err)
		got := b.do(req)
		assert.Equal(t, http.StatusBadRequest, got.status)
		assert.Nil(t, got.cookie)
	})
}
