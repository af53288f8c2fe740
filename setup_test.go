package session_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// TestPathWithSlash names a Cookie.Path that leaves out its own first page, and starts all
// the same, as v1.6.6 did.
func TestPathWithSlash(t *testing.T) {
	for path, wrong := range map[string]bool{"": false, "/": false, "/app": false, "/app/": true, "/a/b/": true} {
		for _, writes := range []bool{false, true} {
			a := newApp(t, func(o *session.Options) {
				if o.Cookie.Path = path; writes {
					o.WriteIDFunc = func(http.ResponseWriter, *http.Request, string, bool) {}
				}
			})
			if wrong && !writes {
				require.Len(t, a.errs.all(), 1, path)
				assert.ErrorContains(t, a.errs.last(), `Cookie.Path "`+path+`"`)
				assert.ErrorContains(t, a.errs.last(), "leave out the slash")
			} else {
				assert.Empty(t, a.errs.all(), path)
			}
		}
	}
	a := newApp(t, func(o *session.Options) {
		o.Cookie.Path, o.Transport = "/app/", session.HeaderTransport("X-Session")
	})
	assert.Empty(t, a.errs.all(), "there is no cookie")
}

// TestDomainOfAnotherHost sends requests to hosts in the Domain and outside of it.
func TestDomainOfAnotherHost(t *testing.T) {
	for _, test := range []struct {
		domain, host string
		wrong        bool
	}{
		{"example.com", "example.com", false},
		{"example.com", "example.com:8080", false},
		{".example.com", "www.example.com", false},
		{"Example.com", "WWW.EXAMPLE.COM.", false},
		{"", "anything", false},
		{"example.com", "example.org", true},
		{"example.com", "notexample.com", true},
		{"www.example.com", "example.com:443", true},
		{"example.com", "[::1]:8080", true},
		{"example.com", "127.0.0.1", true},
	} {
		a := newApp(t, func(o *session.Options) { o.Cookie.Domain = test.domain })
		a.Get("/untouched", func() {})
		a.Get("/set", func(s session.Session) { s.Set("k", 1) })
		get := func(path string) {
			req := httptest.NewRequest(http.MethodGet, path, nil)
			req.Host = test.host
			rec := httptest.NewRecorder()
			a.ServeHTTP(rec, req)
			assert.Equal(t, http.StatusOK, rec.Code)
		}
		get("/untouched")
		assert.Empty(t, a.errs.all(), "%v: no cookie is set", test)
		get("/set")
		get("/set")
		if !test.wrong {
			assert.Empty(t, a.errs.all(), "%v", test)
			continue
		}
		require.Len(t, a.errs.all(), 1, "%v: once", test)
		assert.ErrorContains(t, a.errs.last(), "Cookie.Domain")
	}
}

// hiding is a Backend that is never equal to another one.
type hiding struct {
	session.Backend
	_ []int
}

// TestTwoApplicationsOnOneHost has a browser visit two applications of one process in turn.
func TestTwoApplicationsOnOneHost(t *testing.T) {
	counter := func(change ...func(*session.Options)) *app {
		a := newApp(t, change...)
		a.Get("/", func(s session.Session) { session.Update(s, "n", func(n int) int { return n + 1 }) })
		return a
	}
	visit := func(apps ...*app) {
		id := ""
		for range 3 {
			for _, a := range apps {
				if _, set := a.get("/", id); set != "" {
					id = set
				}
			}
		}
	}
	a, b := counter(), counter()
	visit(a)
	visit(b)
	a.get("/", "0123456789abcdef0123456789abcdef")
	assert.Empty(t, append(a.errs.all(), b.errs.all()...), "each with browsers of its own")
	visit(a, b)
	for _, x := range []*app{a, b} {
		require.Len(t, x.errs.all(), 1, "once")
		assert.ErrorContains(t, x.errs.last(), "set another Cookie.Name")
		assert.NotContains(t, x.errs.last().Error(), "0123456789")
	}

	// Servers of one application share a store: what one does not find has ended.
	shared := initer(newFaultyBackend(), session.StoreConfig{})
	store, err := shared(context.Background())
	require.NoError(t, err)
	one := func(o *session.Options) { o.Initer = returns(store) }
	c, d := counter(one), counter(one)
	c.Get("/end", func(s session.Session) { session.Destroy(s) })
	_, id := c.get("/", "")
	c.get("/end", id)
	d.get("/", id)
	assert.Empty(t, append(c.errs.all(), d.errs.all()...))

	// Two Backends hide that they share a storage.
	b1 := newFaultyBackend()
	g, h := counter(func(o *session.Options) { o.Initer = initer(hiding{Backend: b1}, session.StoreConfig{}) }), counter(func(o *session.Options) { o.Initer = initer(hiding{Backend: b1}, session.StoreConfig{}) })
	g.Get("/end", func(s session.Session) { session.Destroy(s) })
	_, id = g.get("/", "")
	h.get("/", id)
	g.get("/end", id)
	h.get("/", id)
	assert.Empty(t, append(g.errs.all(), h.errs.all()...))

	// Other paths and names are other cookies.
	e, f := counter(func(o *session.Options) { o.Cookie.Path = "/e" }), counter(func(o *session.Options) { o.Cookie.Path = "/f" })
	visit(e, f)
	assert.Empty(t, append(e.errs.all(), f.errs.all()...))
}
