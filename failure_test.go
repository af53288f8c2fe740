package session_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

const secret = "handler's own words"

// failing are handlers of every kind. Each changes the session and responds in its own
// way.
var failing = map[string]any{
	"string":        func(s session.Session) string { s.Set("k", 1); return secret },
	"status string": func(s session.Session) (int, string) { s.Set("k", 1); return 201, secret },
	"bytes":         func(s session.Session) []byte { s.Set("k", 1); return []byte(secret) },
	"error":         func(s session.Session) error { s.Set("k", 1); return errors.New(secret) },
	"redirect":      func(c flamego.Context, s session.Session) { s.Set("k", 1); c.Redirect("/elsewhere") },
	"write": func(w http.ResponseWriter, s session.Session) {
		s.Set("k", 1)
		w.Header().Set("X-Handler", secret)
		_, _ = io.WriteString(w, secret)
		_, _ = io.WriteString(w, secret)
	},
	"write header": func(w http.ResponseWriter, s session.Session) {
		s.Set("k", 1)
		w.Header().Set("ETag", `"x"`)
		http.SetCookie(w, &http.Cookie{Name: "handler", Value: "1"})
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, secret)
	},
	"stream": func(c flamego.Context, s session.Session) {
		s.Set("k", 1)
		for range 3 {
			_, _ = io.WriteString(c.ResponseWriter(), secret)
			c.ResponseWriter().Flush()
		}
		c.ResponseWriter().Header().Set(http.TrailerPrefix+"X-Handler", secret)
	},
	"kept header": func(c flamego.Context, s session.Session) {
		s.Set("k", 1)
		h := c.ResponseWriter().Header()
		_, _ = io.WriteString(c.ResponseWriter(), secret)
		h.Set(http.TrailerPrefix+"X-Handler", secret)
		h.Set("X-Handler", secret)
	},
	"flush only": func(c flamego.Context, s session.Session) { s.Set("k", 1); c.ResponseWriter().Flush() },
	"early hints": func(c flamego.Context, s session.Session) string {
		s.Set("k", 1)
		c.ResponseWriter().WriteHeader(http.StatusEarlyHints)
		return secret
	},
	"render": func(rd flamego.Render, s session.Session) {
		s.Set("k", 1)
		rd.JSON(http.StatusOK, map[string]string{"k": secret})
	},
	"http.Handler": func(c flamego.Context, s session.Session) {
		s.Set("k", 1)
		http.ServeContent(c.ResponseWriter(), c.Request().Request, "x.html", zeroTime, strings.NewReader(secret))
	},
	"nothing": func(s session.Session) { s.Set("k", 1) },
	"id":      func(s session.Session) string { return s.ID() },
	"flash":   func(s session.Session) string { s.SetFlash(1); return secret },
	"rotate": func(c flamego.Context, s session.Session) (string, error) {
		return secret, s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	},
	"panic": func(s session.Session) string { s.Set("k", 1); panic(secret) },
}

// TestFailureMatrix runs every kind of handler on a store whose commits fail, over real
// connections (G3).
func TestFailureMatrix(t *testing.T) {
	flamego.SetEnv(flamego.EnvTypeProd) // No stack traces in answers.
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		for _, recovery := range []string{"with Recovery", "without Recovery"} {
			t.Run(proto+" "+recovery, func(t *testing.T) {
				failureMatrix(t, proto, recovery == "with Recovery")
			})
		}
	}
}

func failureMatrix(t *testing.T, proto string, recovery bool) {
	b := newFaultyBackend()
	errs := &errorList{}
	m, err := session.NewManager(session.Options{Initer: initer(b, session.StoreConfig{}), ErrorFunc: errs.add})
	require.NoError(t, err)
	defer func() { assert.NoError(t, m.Close(t.Context())) }()

	f := flamego.NewWithLogger(io.Discard)
	if recovery {
		f.Use(flamego.Recovery())
	}
	f.Use(func(w http.ResponseWriter) { w.Header().Set("Access-Control-Allow-Origin", "*") })
	f.Use(flamego.Renderer(), m.Sessioner())
	paths := make(map[string]string)
	for name, h := range failing {
		paths[name] = "/" + strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), ".", "-")
		f.Get(paths[name], h)
		f.Head(paths[name], h)
	}
	f.Get("/signin", func(s session.Session) string { s.Set("user", 1); return "ok" })
	f.Get("/user", func(s session.Session) string { return fmt.Sprint(s.Get("user"), s.Get("k")) })

	srv := httptest.NewUnstartedServer(f)
	srv.EnableHTTP2 = proto == "HTTP/2.0"
	srv.Config.ErrorLog = quiet
	srv.StartTLS()
	defer srv.Close()
	client := srv.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

	send := func(method, path, cookie string) (*http.Response, string, error) {
		req, err := http.NewRequest(method, srv.URL+path, nil)
		require.NoError(t, err)
		if cookie != "" {
			req.Header.Set("Cookie", cookie)
		}
		res, err := client.Do(req)
		if err != nil {
			return nil, "", err
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		return res, string(body), err
	}
	res, _, err := send(http.MethodGet, "/signin", "")
	require.NoError(t, err)
	require.Equal(t, proto, res.Proto)
	member, _, _ := strings.Cut(res.Header.Get("Set-Cookie"), ";")

	for name := range failing {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			for _, cookie := range []string{"", member} {
				if cookie != "" && name == "id" {
					continue // Nothing to store.
				}
				t.Run(fmt.Sprintf("%s %s visitor=%v", name, method, cookie == ""), func(t *testing.T) {
					b.fail.Store(true)
					defer b.fail.Store(false)
					errs.clear()
					res, body, err := send(method, paths[name], cookie)
					if name == "panic" && !recovery {
						assert.Error(t, err, "net/http drops the connection")
						return
					}
					require.NoError(t, err)
					assert.Equal(t, http.StatusInternalServerError, res.StatusCode)
					assert.NotContains(t, body, secret)
					if name == "panic" {
						return // Recovery's answer, not ours.
					}
					if method == http.MethodGet {
						assert.Equal(t, "Internal Server Error\n", body)
					}
					for key := range res.Header {
						switch key {
						case "Content-Type", "Content-Length", "X-Content-Type-Options", "Cache-Control", "Date", "Access-Control-Allow-Origin":
						default:
							assert.Failf(t, "a header leaks", "%s: %v", key, res.Header[key])
						}
					}
					assert.Empty(t, res.Trailer)
					assert.Equal(t, "*", res.Header.Get("Access-Control-Allow-Origin"))
					assert.ErrorIs(t, errs.last(), errDown)
				})
			}
		}
	}
	// It heals: the cookie is good, and nothing of all that was stored.
	_, body, err := send(http.MethodGet, "/user", member)
	require.NoError(t, err)
	assert.Equal(t, "1 <nil>", body)
}

// errorList collects what ErrorFunc was called with.
type errorList struct {
	mu   sync.Mutex
	errs []error
}

func (l *errorList) add(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
}

func (l *errorList) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = nil
}

func (l *errorList) all() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.errs)
}

func (l *errorList) last() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.errs) == 0 {
		return nil
	}
	return l.errs[len(l.errs)-1]
}
