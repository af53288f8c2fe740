package session_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"

	"github.com/flamego/session"
)

// TestHandlers checks that the handler types get the same as plain functions.
func TestHandlers(t *testing.T) {
	a := newApp(t)
	a.Get("/set", session.Handler(func(c flamego.Context, s session.Session) {
		s.SetFlash("hello")
		s.Set("path", c.Request().URL.Path)
	}))
	a.Get("/flash", session.FlashHandler(func(c flamego.Context, s session.Session, flash session.Flash) {
		_, _ = fmt.Fprintf(c.ResponseWriter(), "%v%v", s.Get("path"), flash)
	}))
	a.Get("/http", session.HTTPHandler(func(w http.ResponseWriter, r *http.Request, s session.Session) {
		_, _ = fmt.Fprintf(w, "%v%v", s.Get("path"), r.URL.Path)
	}))
	_, id := a.get("/set", "")
	for _, want := range []string{"/sethello", "/set<nil>"} {
		rec, _ := a.get("/flash", id)
		assert.Equal(t, want, rec.Body.String())
	}
	rec, _ := a.get("/http", id)
	assert.Equal(t, "/set/http", rec.Body.String())
}

// TestAllocations limits what a request allocates above the bare route, with the memory
// store.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates on its own")
	}
	f := flamego.NewWithLogger(io.Discard)
	f.Get("/bare", func(flamego.Context) {})
	f.Group("", func() {
		f.Get("/untouched", func(c flamego.Context) {})
		f.Get("/read", func(s session.Session, c flamego.Context) { _ = s.Get("k") })
		f.Get("/set", func(s session.Session, c flamego.Context) { s.Set("k", 1) })
		f.Get("/fast", session.Handler(func(_ flamego.Context, s session.Session) { _ = s.Get("k") }))
	}, session.Sessioner())
	rec := httptest.NewRecorder()
	f.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/set", nil))
	cookie := rec.Result().Cookies()[0]
	count := func(path string, member bool) float64 {
		req := httptest.NewRequest(http.MethodGet, path, nil)
		if member {
			req.AddCookie(cookie)
		}
		return testing.AllocsPerRun(1000, func() { f.ServeHTTP(&noResponse{h: make(http.Header)}, req) })
	}
	// net/http copies the header of who has asked for it.
	w := &noResponse{}
	f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/untouched", nil))
	assert.False(t, w.asked, "an untouched visitor's response asks for the header")
	bare := count("/bare", false)
	for _, test := range []struct {
		path   string
		member bool
		most   float64
	}{
		{"/untouched", false, 2},
		{"/read", true, 6},
		{"/fast", true, 4},
		{"/set", true, 10},
		{"/set", false, 12},
	} {
		assert.LessOrEqual(t, count(test.path, test.member)-bare, test.most, "%s, member %v", test.path, test.member)
	}
}

// noResponse is a response writer that allocates nothing.
type noResponse struct {
	h     http.Header
	asked bool
}

func (w *noResponse) Header() http.Header         { w.asked = true; return w.h }
func (w *noResponse) Write(b []byte) (int, error) { return len(b), nil }
func (w *noResponse) WriteHeader(int)             {}
