package session_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// TestErrorFuncPanics panics while a failed commit is reported, where Recovery would
// turn the response into a success (G3).
func TestErrorFuncPanics(t *testing.T) {
	a := newApp(t, func(o *session.Options) { o.ErrorFunc = func(error) { panic("unavailable") } })
	a.Get("/", func(s session.Session) string {
		s.Set("k", 1)
		a.b.fail.Store(true)
		return "secret"
	})
	rec, id := a.get("/", "")
	assert.Equal(t, http.StatusInternalServerError, rec.Code)
	assert.NotContains(t, rec.Body.String(), "secret")
	assert.Empty(t, id)
}

// TestDeadlineWhileLoading lets a middleware's deadline pass while the session is
// loaded: the client is still there, and waits for a response.
func TestDeadlineWhileLoading(t *testing.T) {
	a := newApp(t)
	a.b.next("Load", func(ctx context.Context, _ func() error) error {
		<-ctx.Done()
		return ctx.Err()
	})
	a.Get("/", func(session.Session) {})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	rec := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx)
	req.Header.Set("Cookie", "flamego_session="+strings.Repeat("a", 32))
	a.ServeHTTP(rec, req)
	assert.Equal(t, http.StatusInternalServerError, rec.Code)
	assert.ErrorIs(t, a.errs.last(), context.DeadlineExceeded)
}

// TestBackendPanics panics in a Commit whose caller goes on: the changes are kept for
// the response.
func TestBackendPanics(t *testing.T) {
	b := newFaultyBackend()
	store := session.NewStore(b, session.StoreConfig{})
	id := "0123456789abcdef"
	s, err := store.Read(t.Context(), id)
	require.NoError(t, err)
	s.Set("a", 1)
	require.NoError(t, store.Save(t.Context(), s))

	s.Set("a", 2)
	b.before("Replace", func() { panic("unavailable") })
	assert.ErrorContains(t, store.Save(t.Context(), s), "unavailable")
	require.NoError(t, store.Save(t.Context(), s))
	s, err = store.Read(t.Context(), id)
	require.NoError(t, err)
	assert.Equal(t, 2, s.Get("a"))
}

// TestSaveAfterTheFirstByte stores a new visitor's session through the Manager when it
// is too late to tell the client.
func TestSaveAfterTheFirstByte(t *testing.T) {
	a := newApp(t)
	a.Get("/", func(c flamego.Context, s session.Session) {
		_, _ = c.ResponseWriter().Write([]byte("early"))
		s.Set("k", 1)
		assert.Error(t, a.m.Store().Save(t.Context(), s))
	})
	a.get("/", "")
	assert.Empty(t, a.b.records)
}

// TestLoadFailsAfterEarlyHints fails to load a session when another middleware has sent an
// informational response, which Flamego takes for the final one (G14).
func TestLoadFailsAfterEarlyHints(t *testing.T) {
	failing := func(o *session.Options) {
		b := newFaultyBackend()
		b.failReads.Store(true)
		o.Initer, o.ErrorFunc = initer(b, session.StoreConfig{}), func(error) {}
	}
	first, second := manager(t, "first", failing), manager(t, "second", failing)
	for _, use := range [][]flamego.Handler{
		{first.Sessioner()},
		{manager(t, "other").Sessioner(), session.SessionerAs[adminSession, adminFlash](second)},
	} {
		f := silent()
		f.Use(func(c flamego.Context) { c.ResponseWriter().WriteHeader(http.StatusEarlyHints); c.Next() })
		f.Use(use...)
		f.Get("/", func() string { return "page" })
		srv := httptest.NewServer(f)
		defer srv.Close()
		req, err := http.NewRequest(http.MethodGet, srv.URL, nil)
		require.NoError(t, err)
		req.Header.Set("Cookie", "first="+strings.Repeat("0", 32)+"; second="+strings.Repeat("0", 32))
		resp, err := srv.Client().Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, http.StatusInternalServerError, resp.StatusCode)
	}
}

// TestHijackAfterFailure takes over the connection when the failure has been sent: the
// handler must not send its own response after it (G3).
func TestHijackAfterFailure(t *testing.T) {
	a, hijack := newApp(t), make(chan error, 1)
	a.Get("/", func(w http.ResponseWriter, s session.Session) {
		s.Set("k", 1)
		a.b.fail.Store(true)
		w.WriteHeader(http.StatusOK)
		_, _, err := http.NewResponseController(w).Hijack()
		hijack <- err
	})
	srv := httptest.NewServer(a)
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusInternalServerError, resp.StatusCode)
	assert.ErrorContains(t, <-hijack, "the request has failed")
}

// TestWriteIDFuncPanics panics in WriteIDFunc while the header is written (G3). That is
// reported once, and what another Manager has stored reaches the client.
func TestWriteIDFuncPanics(t *testing.T) {
	panics := func(o *session.Options) {
		o.Cookie.Name = "admin"
		o.WriteIDFunc = func(http.ResponseWriter, *http.Request, string, bool) { panic("unavailable") }
	}
	a := newApp(t, panics)
	a.Use(session.SessionerAs[adminSession, adminFlash](manager(t, "user")))
	a.Get("/text", func(s session.Session, other adminSession) string { s.Set("k", 1); other.Set("k", 1); return "secret" })
	a.Get("/silent", func(s session.Session, other adminSession) { s.Set("k", 1); other.Set("k", 1) })
	for _, path := range []string{"/text", "/silent"} {
		a.errs.clear()
		assert.NotPanics(t, func() {
			rec, _ := a.get(path, "")
			assert.Equal(t, http.StatusInternalServerError, rec.Code)
			assert.NotContains(t, rec.Body.String(), "secret")
			assert.Contains(t, rec.Header().Get("Set-Cookie"), "user=", path)
		})
		assert.ErrorContains(t, a.errs.last(), "unavailable")
		assert.Len(t, a.errs.all(), 1, path)
	}
}

// TestGetPanics gets a key that cannot be compared, for which Go panics: the request
// fails, and does not hang.
func TestGetPanics(t *testing.T) {
	f := flamego.NewWithLogger(io.Discard)
	f.Use(flamego.Recovery(), session.Sessioner())
	f.Get("/", func(s session.Session) {
		for i := range 20 { // From 16 on they are in a map.
			s.Set(i, []int{i})
		}
		assert.NoError(t, session.Commit(t.Context(), s))
		s.Get([]string{"no key"})
	})
	rec, done := httptest.NewRecorder(), make(chan struct{})
	go func() {
		defer close(done)
		f.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	}()
	select {
	case <-done:
		assert.Equal(t, http.StatusInternalServerError, rec.Code)
	case <-time.After(time.Minute):
		t.Fatal("the request hangs")
	}
}
