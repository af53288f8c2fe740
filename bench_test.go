package session

import (
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
)

// nullWriter is a response that costs nothing, so that the middleware shows.
type nullWriter struct{ h http.Header }

func (w *nullWriter) Header() http.Header         { return w.h }
func (w *nullWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *nullWriter) WriteHeader(int)             {}

// BenchmarkRequest shows what the middleware costs on top of the framework,
// which is bare.
func BenchmarkRequest(b *testing.B) {
	run := func(name, path, cookie string, use ...flamego.Handler) {
		f := flamego.NewWithLogger(io.Discard)
		f.Use(use...)
		f.Get("/bare", func(flamego.Context) {})
		f.Get("/set", func(s Session, c flamego.Context) { s.Set("k", 1); c.ResponseWriter().WriteHeader(204) })
		f.Get("/read", func(s Session, c flamego.Context) { _ = s.Get("k"); c.ResponseWriter().WriteHeader(204) })
		f.Get("/untouched", func(c flamego.Context) { c.ResponseWriter().WriteHeader(204) })
		req := httptest.NewRequest(http.MethodGet, "/set", nil)
		if cookie == "member" {
			rec := httptest.NewRecorder()
			f.ServeHTTP(rec, req)
			req.AddCookie(rec.Result().Cookies()[0])
		}
		req.URL.Path, req.RequestURI = path, path
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.ServeHTTP(&nullWriter{h: make(http.Header)}, req)
			}
		})
	}
	run("bare", "/bare", "")
	run("untouched", "/untouched", "", Sessioner())
	run("read", "/read", "member", Sessioner())
	run("write", "/set", "member", Sessioner())
	run("new", "/set", "", Sessioner())
}

// TestExchangeSize limits an object that every request makes. Above 512 bytes Go's
// allocator takes longer.
func TestExchangeSize(t *testing.T) {
	assert.LessOrEqual(t, int(reflect.TypeFor[exchange]().Size()), 512)
}
