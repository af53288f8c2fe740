package session_test

import (
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

type (
	benchLine struct {
		SKU   string
		Qty   int
		Price float64
	}
	benchCart struct {
		Lines   []benchLine
		Coupon  string
		Updated time.Time
		Meta    map[string]string
	}
	benchBox struct{ V any }
)

// headers is a client that reads nothing else.
type headers struct{ h http.Header }

func (w *headers) Header() http.Header         { return w.h }
func (w *headers) Write(b []byte) (int, error) { return len(b), nil }
func (w *headers) WriteHeader(int)             {}

func init() { gob.Register(benchCart{}); gob.Register(benchBox{}) }

func newCart(n int) benchCart {
	return benchCart{[]benchLine{{"a", n, 2}, {"b", 2, 3}, {"c", 3, 4}}, "X", time.Unix(1700000000, 0).UTC(), map[string]string{"k": "v"}}
}

// BenchmarkValues are requests with a session that is encoded, above the same without.
func BenchmarkValues(b *testing.B) {
	run := func(name, path string, vals map[any]any, use bool) {
		f := flamego.NewWithLogger(io.Discard)
		n := 0
		if use {
			f.Use(session.Sessioner(session.Options{Config: struct{}{}, Initer: session.BackendIniter(func(context.Context, struct{}) (*mapBackend, session.StoreConfig, error) {
				return newMapBackend(), session.StoreConfig{}, nil
			})}))
		}
		f.Get("/bare", func(c flamego.Context) { c.ResponseWriter().WriteHeader(204) })
		f.Get("/init", func(s session.Session) {
			for k, v := range vals {
				s.Set(k, v)
			}
		})
		f.Get("/read", func(s session.Session, c flamego.Context) {
			if s.Get("userID") == nil {
				panic("lost")
			}
			c.ResponseWriter().WriteHeader(204)
		})
		f.Get("/write", func(s session.Session, c flamego.Context) { n++; s.Set("n", n); c.ResponseWriter().WriteHeader(204) })
		f.Get("/readv", func(s session.Session, c flamego.Context) {
			if s.Get("cart") == nil {
				panic("lost")
			}
			c.ResponseWriter().WriteHeader(204)
		})
		f.Get("/writev", func(s session.Session, c flamego.Context) {
			n++
			s.Set("cart", newCart(n))
			c.ResponseWriter().WriteHeader(204)
		})
		req := httptest.NewRequest(http.MethodGet, "/init", nil)
		if use {
			rec := httptest.NewRecorder()
			f.ServeHTTP(rec, req)
			req.AddCookie(rec.Result().Cookies()[0])
		}
		req.URL.Path, req.RequestURI = path, path
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.ServeHTTP(&headers{h: make(http.Header)}, req)
			}
		})
	}
	plain := map[any]any{"userID": 42, "n": 1}
	one := map[any]any{"userID": 42, "n": 1, "cart": newCart(1)}
	open := map[any]any{"userID": 42, "n": 1, "cart": benchBox{newCart(1)}}
	five := map[any]any{"userID": 42, "n": 1}
	for i := range 5 {
		five[fmt.Sprint("cart", i)] = newCart(i)
	}
	run("bare", "/bare", nil, false)
	run("plain/read", "/read", plain, true)
	run("plain/write", "/write", plain, true)
	run("beside/read", "/read", one, true)
	run("beside/write", "/write", one, true)
	run("itself/read", "/readv", one, true)
	run("itself/write", "/writev", one, true)
	run("open/read", "/read", open, true)
	run("open/write", "/write", open, true)
	run("open/itself", "/readv", open, true)
	run("five/read", "/read", five, true)
	run("five/write", "/write", five, true)
}
