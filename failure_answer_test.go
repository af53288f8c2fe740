package session_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/gob"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// inFront sets headers of all kinds, as middleware does for every response.
func inFront(h http.Header) {
	h.Set("X-Request-Id", "r1")
	h.Set("Traceparent", "00-1")
	h.Set("Server-Timing", "edge;dur=1")
	h.Set("NEL", "{}")
	h.Set("Content-Security-Policy", "default-src 'self'")
	h.Add("Link", "</a>")
	h.Add("Link", "</b>")
	h.Add("Set-Cookie", "lang=en")
	h.Add("Set-Cookie", "theme=dark")
}

// behind overwrites, adds, removes and sets more, as handlers do.
func behind(h http.Header) {
	h.Set("X-Request-Id", secret)
	h.Set("Content-Security-Policy", secret)
	h.Add("Link", secret)
	h.Add("Set-Cookie", "handler="+secret)
	h.Del("Traceparent")
	for _, name := range []string{"Content-Type", "Content-Encoding", "ETag", "Last-Modified", "Location", "Access-Control-Allow-Origin", "Strict-Transport-Security", "X-Handler", http.TrailerPrefix + "T"} {
		h.Set(name, secret)
	}
	h.Set("Content-Length", "3")
}

// failingApp fails to store, or to load, what its handlers use.
func failingApp(t *testing.T, change func(*session.Options)) *app {
	a := newApp(t, change)
	a.b.fail.Store(true)
	a.b.failReads.Store(true)
	a.Get("/written", func(w http.ResponseWriter, s session.Session) {
		s.Set("k", 1)
		behind(w.Header())
		_, _ = io.WriteString(w, secret)
	})
	a.Get("/unwritten", func(w http.ResponseWriter, s session.Session) { s.Set("k", 1); behind(w.Header()) })
	a.Get("/silent", func(s session.Session) { s.Set("k", 1) })
	return a
}

// send asks over a real connection, through middleware in front of the application.
func send(t *testing.T, h http.Handler, method, path, id string) (*http.Response, string) {
	srv := httptest.NewServer(h)
	defer srv.Close()
	req, err := http.NewRequest(method, srv.URL+path, nil)
	require.NoError(t, err)
	req.Header.Set("Cookie", "flamego_session="+id)
	resp, err := srv.Client().Do(req)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp, string(body)
}

// TestFailureKeepsWhatWasBefore has middleware in front of the session's set headers, and
// handlers change them. The failure has them as they were, and nothing of the handlers'.
func TestFailureKeepsWhatWasBefore(t *testing.T) {
	want := http.Header{}
	inFront(want)
	for name, front := range map[string]func(*app) http.Handler{
		"net/http": func(a *app) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inFront(w.Header()); a.ServeHTTP(w, r) })
		},
		"Flamego": func(a *app) http.Handler {
			a.Before(func(w http.ResponseWriter, _ *http.Request) bool { inFront(w.Header()); return false })
			return a
		},
	} {
		for _, path := range []string{"/written", "/unwritten", "/silent", "/load"} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				t.Run(name+" "+method+path, func(t *testing.T) {
					a, id := failingApp(t, func(*session.Options) {}), ""
					if path == "/load" {
						path, id = "/written", strings.Repeat("0", 32)
					}
					if method == http.MethodHead {
						a.Head(path, func(w http.ResponseWriter, s session.Session) { s.Set("k", 1); behind(w.Header()) })
					}
					resp, body := send(t, front(a), method, path, id)
					assert.Equal(t, http.StatusInternalServerError, resp.StatusCode)
					if method == http.MethodGet {
						assert.Equal(t, "Internal Server Error\n", body)
					}
					for name, lines := range want {
						assert.Equal(t, lines, resp.Header[name], name)
					}
					for name, lines := range resp.Header {
						assert.NotContains(t, strings.Join(lines, " "), secret, name)
					}
					assert.Equal(t, "text/plain; charset=utf-8", resp.Header.Get("Content-Type"))
					assert.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
					assert.Equal(t, "22", resp.Header.Get("Content-Length"))
					assert.Empty(t, resp.Trailer)
				})
			}
		}
	}
}

// zipped writes to a gzip.Writer.
type zipped struct {
	http.ResponseWriter
	zip *gzip.Writer
}

func (z zipped) Write(b []byte) (int, error) { return z.zip.Write(b) }

// TestFailureBehindCompression has middleware in front compress the response: below
// Flamego's writer, where the failure passes through it, or above, where it does not.
func TestFailureBehindCompression(t *testing.T) {
	below := func(a *app) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := zipped{w, gzip.NewWriter(w)}
			defer func() { _ = z.zip.Close() }()
			a.ServeHTTP(z, r)
		})
	}
	for _, path := range []string{"/written", "/unwritten", "/silent"} {
		a := failingApp(t, func(*session.Options) {})
		resp, body := send(t, below(a), http.MethodGet, path, "")
		assert.Equal(t, http.StatusInternalServerError, resp.StatusCode)
		assert.True(t, resp.Uncompressed, path)
		assert.Equal(t, "Internal Server Error\n", body, path)
	}
	for _, path := range []string{"/written", "/unwritten", "/silent"} {
		above := func(c flamego.Context) {
			w := c.ResponseWriter()
			w.Header().Set("Content-Encoding", "gzip")
			z := zipped{w, gzip.NewWriter(w)}
			defer func() { _ = z.zip.Close() }()
			c.MapTo(z, (*http.ResponseWriter)(nil))
			c.Next()
		}
		b := newFaultyBackend()
		b.fail.Store(true)
		f := silent()
		f.Use(above, manager(t, "flamego_session", func(o *session.Options) {
			o.Initer, o.ErrorFunc = initer(b, session.StoreConfig{}), func(error) {}
		}).Sessioner())
		f.Get("/written", func(w http.ResponseWriter, s session.Session) {
			s.Set("k", 1)
			_, _ = io.WriteString(w, strings.Repeat(secret, 1<<14))
		})
		f.Get("/unwritten", func(w http.ResponseWriter, s session.Session) { s.Set("k", 1); behind(w.Header()) })
		f.Get("/silent", func(s session.Session) { s.Set("k", 1) })
		resp, body := send(t, f, http.MethodGet, path, "")
		assert.Equal(t, http.StatusInternalServerError, resp.StatusCode)
		assert.False(t, resp.Uncompressed, path)
		assert.Equal(t, "Internal Server Error\n", body, path)
	}
}

type traceKey struct{}

// TestFailureFunc answers a failure, in every way that a handler can respond.
func TestFailureFunc(t *testing.T) {
	unavailable := func(w http.ResponseWriter, _ *http.Request, err error) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "5")
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"ours":`)
		_, _ = io.WriteString(w, `true}`)
	}
	for name, test := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request, error)
		status int
		body   string
		plain  bool
	}{
		"JSON":   {unavailable, 503, `{"ours":true}`, false},
		"page":   {func(w http.ResponseWriter, _ *http.Request, _ error) { _, _ = io.WriteString(w, "<h1>Sorry</h1>") }, 500, "<h1>Sorry</h1>", false},
		"status": {func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusTooManyRequests) }, http.StatusTooManyRequests, "", false},
		"redirect": {func(w http.ResponseWriter, r *http.Request, _ error) {
			http.Redirect(w, r, "/sorry", http.StatusSeeOther)
		}, http.StatusSeeOther, "<a href=\"/sorry\">See Other</a>.\n\n", false},
		"nothing":        {func(w http.ResponseWriter, _ *http.Request, _ error) { w.Header().Set("Retry-After", "5") }, 500, "Internal Server Error\n", true},
		"hints only":     {func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusEarlyHints) }, 500, "Internal Server Error\n", true},
		"panic":          {func(http.ResponseWriter, *http.Request, error) { panic("unavailable") }, 500, "Internal Server Error\n", true},
		"panic half-way": {func(w http.ResponseWriter, r *http.Request, err error) { unavailable(w, r, err); panic("unavailable") }, 500, "Internal Server Error\n", true},
		"bad status":     {func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(7) }, 500, "Internal Server Error\n", true},
	} {
		for _, path := range []string{"/written", "/unwritten", "/silent", "/load"} {
			t.Run(name+path, func(t *testing.T) {
				var heard error
				a := failingApp(t, func(o *session.Options) {
					o.FailureFunc = func(w http.ResponseWriter, r *http.Request, err error) {
						assert.Equal(t, "yes", r.Context().Value(traceKey{}))
						assert.Equal(t, "r1", w.Header().Get("X-Request-Id"), "what was in front")
						assert.NotContains(t, strings.Join(w.Header()["Link"], " "), secret)
						heard = err
						test.answer(w, r, err)
					}
				})
				id := ""
				if path == "/load" {
					path, id = "/written", strings.Repeat("0", 32)
				}
				front := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					inFront(w.Header())
					a.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), traceKey{}, "yes")))
				})
				resp, body := sendOnce(t, front, path, id)
				assert.Equal(t, test.status, resp.StatusCode)
				assert.Equal(t, test.body, body)
				assert.ErrorIs(t, heard, errDown)
				assert.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
				assert.Equal(t, []string{"</a>", "</b>"}, resp.Header["Link"])
				assert.Equal(t, []string{"lang=en", "theme=dark"}, resp.Header["Set-Cookie"])
				assert.Empty(t, resp.Header["Etag"])
				assert.Empty(t, resp.Trailer)
				assert.ErrorIs(t, a.errs.all()[0], errDown)
				if test.plain {
					assert.Equal(t, "text/plain; charset=utf-8", resp.Header.Get("Content-Type"))
					assert.Empty(t, resp.Header.Get("Retry-After"))
				}
				if strings.HasPrefix(name, "panic") {
					assert.ErrorContains(t, a.errs.last(), "Options.FailureFunc panicked: unavailable")
				}
			})
		}
	}
}

// sendOnce is send without following redirects.
func sendOnce(t *testing.T, h http.Handler, path, id string) (*http.Response, string) {
	srv := httptest.NewServer(h)
	defer srv.Close()
	req, err := http.NewRequest(http.MethodGet, srv.URL+path, nil)
	require.NoError(t, err)
	req.Header.Set("Cookie", "flamego_session="+id)
	resp, err := srv.Client().Transport.RoundTrip(req)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp, string(body)
}

// TestFailureFuncIsNotCalled has failures that nobody can answer any more, and a panic,
// which is Recovery's.
func TestFailureFuncIsNotCalled(t *testing.T) {
	calls := 0
	a := newApp(t, func(o *session.Options) {
		o.FailureFunc = func(http.ResponseWriter, *http.Request, error) { calls++ }
	})
	a.Get("/stream", func(c flamego.Context, s session.Session) {
		_, _ = io.WriteString(c.ResponseWriter(), "begun")
		s.Set("k", 1)
	})
	a.Get("/panic", func(s session.Session) { s.Set("k", 1); panic("own") })
	a.b.fail.Store(true)
	rec, _ := a.get("/stream", "")
	assert.Equal(t, "begun", rec.Body.String())
	assert.Len(t, a.errs.all(), 1)
	assert.Panics(t, func() { a.get("/panic", "") })
	assert.Zero(t, calls)

	// A middleware in front has responded, and goes on.
	b := newFaultyBackend()
	b.failReads.Store(true)
	errs := &errorList{}
	f := silent()
	f.Use(func(c flamego.Context) { _, _ = io.WriteString(c.ResponseWriter(), "done"); c.Next() })
	f.Use(manager(t, "flamego_session", func(o *session.Options) {
		o.Initer, o.ErrorFunc = initer(b, session.StoreConfig{}), errs.add
		o.FailureFunc = func(http.ResponseWriter, *http.Request, error) { calls++ }
	}).Sessioner())
	f.Get("/", func() {})
	resp, body := send(t, f, http.MethodGet, "/", strings.Repeat("0", 32))
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Equal(t, "done", body)
	assert.ErrorIs(t, errs.last(), errDown)
	assert.Zero(t, calls)
}

// TestFailureOfTheSecondManager fails one of two: its FailureFunc answers, and what the
// other has stored reaches the client.
func TestFailureOfTheSecondManager(t *testing.T) {
	b := newFaultyBackend()
	b.fail.Store(true)
	f := silent()
	answer := func(text string) func(http.ResponseWriter, *http.Request, error) {
		return func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.SetCookie(w, &http.Cookie{Name: "user", Value: "theirs", Path: "/"})
			http.Error(w, text, http.StatusBadGateway)
		}
	}
	f.Use(manager(t, "user", func(o *session.Options) { o.FailureFunc = answer("user") }).Sessioner())
	f.Use(session.SessionerAs[adminSession, adminFlash](manager(t, "admin", func(o *session.Options) {
		o.Initer, o.ErrorFunc, o.FailureFunc = initer(b, session.StoreConfig{}), func(error) {}, answer("admin")
	})))
	f.Get("/", func(s session.Session, as adminSession) string { s.Set("k", 1); as.Set("k", 1); return secret })
	resp, body := send(t, f, http.MethodGet, "/", "")
	assert.Equal(t, http.StatusBadGateway, resp.StatusCode)
	assert.Equal(t, "admin\n", body)
	require.Len(t, resp.Cookies(), 1)
	assert.NotEqual(t, "theirs", resp.Cookies()[0].Value)
}

// contextHandler is a slog.Handler that notes what is in the context.
type contextHandler struct{ slog.Handler }

func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	if id, ok := ctx.Value(traceKey{}).(string); ok {
		r.AddAttrs(slog.String("trace", id))
	}
	return h.Handler.Handle(ctx, r)
}

// TestReportHasTheContext reports each kind of error to Report, to ErrorFunc and to the
// default log, with the context of the request.
func TestReportHasTheContext(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(contextHandler{slog.NewTextHandler(&log, nil)}))
	for name, test := range map[string]struct {
		fail   func(*faultyBackend, map[string]session.Record, string)
		path   string
		report string
	}{
		"load":     {func(b *faultyBackend, _ map[string]session.Record, _ string) { b.failReads.Store(true) }, "/get", "session: load"},
		"store":    {func(b *faultyBackend, _ map[string]session.Record, _ string) { b.fail.Store(true) }, "/set", "session: commit"},
		"too late": {func(b *faultyBackend, _ map[string]session.Record, _ string) { b.fail.Store(true) }, "/late", "session: commit"},
		"the whole": {func(_ *faultyBackend, r map[string]session.Record, id string) {
			r[id] = session.Record{Data: []byte("no"), Expiry: r[id].Expiry}
		}, "/get", "session: load"},
	} {
		for _, kind := range []string{"Report", "ErrorFunc", "both", "neither"} {
			t.Run(name+" "+kind, func(t *testing.T) {
				log.Reset()
				reported, plain := &errorList{}, &errorList{}
				a := newApp(t, func(o *session.Options) {
					o.ErrorFunc = nil
					if kind == "ErrorFunc" || kind == "both" {
						o.ErrorFunc = plain.add
					}
					if kind == "Report" || kind == "both" {
						o.Report = func(ctx context.Context, err error) {
							assert.Equal(t, "t1", ctx.Value(traceKey{}))
							reported.add(err)
						}
					}
				})
				a.Get("/set", func(s session.Session) { session.Update(s, "k", func(n int) int { return n + 1 }) })
				a.Get("/get", func(s session.Session) { s.Get("k") })
				a.Get("/late", func(c flamego.Context, s session.Session) { c.ResponseWriter().Flush(); s.Set("k", 3) })
				_, id := a.get("/set", "")
				test.fail(a.b, a.b.records, id)
				req := httptest.NewRequest(http.MethodGet, test.path, nil)
				req.Header.Set("Cookie", "flamego_session="+id)
				a.ServeHTTP(httptest.NewRecorder(), req.WithContext(context.WithValue(t.Context(), traceKey{}, "t1")))
				for list, want := range map[*errorList]bool{reported: kind == "Report" || kind == "both", plain: kind == "ErrorFunc" || kind == "both"} {
					if want {
						require.Len(t, list.all(), 1)
						assert.ErrorContains(t, list.last(), test.report)
					}
				}
				assert.Equal(t, kind == "neither", strings.Contains(log.String(), "session middleware"), "the log")
				if kind == "neither" {
					assert.Contains(t, log.String(), "trace=t1")
				}
			})
		}
	}
}

type reported struct{ A int }

// TestReportOfAValue reports a value that cannot be decoded, which a handler gets without
// saying a context.
func TestReportOfAValue(t *testing.T) {
	gob.RegisterName("report.Known", reported{})
	got := make(chan any, 2)
	a := newApp(t, func(o *session.Options) {
		o.Report = func(ctx context.Context, err error) {
			assert.ErrorContains(t, err, "decode")
			got <- ctx.Value(traceKey{})
		}
	})
	a.Get("/set", func(s session.Session) { s.Set("k", reported{1}) })
	a.Get("/get", func(s session.Session) { assert.Nil(t, s.Get("k")) })
	_, id := a.get("/set", "")
	r := a.b.records[id]
	r.Data = bytes.ReplaceAll(r.Data, []byte("report.Known"), []byte("report.Other"))
	a.b.records[id] = r
	req := httptest.NewRequest(http.MethodGet, "/get", nil)
	req.Header.Set("Cookie", "flamego_session="+id)
	a.ServeHTTP(httptest.NewRecorder(), req.WithContext(context.WithValue(t.Context(), traceKey{}, "t1")))
	require.Len(t, got, 1)
	assert.Equal(t, "t1", <-got)
}
