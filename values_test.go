package session_test

import (
	"bytes"
	"encoding/gob"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"context"

	"github.com/flamego/session"
)

// cartNew and cartOld are the same type, of two versions of a program. cartGon is the
// name that neither knows.
type (
	cartNew struct {
		Items  []string
		Coupon string
		More   map[string]any
	}
	cartOld struct{ Items []string }
)

// counted counts how often it is decoded, and calls meet then.
type counted struct{ text string }

var (
	decoded atomic.Int64
	meet    atomic.Pointer[func()]
)

func (c counted) GobEncode() ([]byte, error) { return []byte(c.text), nil }
func (c *counted) GobDecode(b []byte) error {
	decoded.Add(1)
	if f := meet.Load(); f != nil {
		(*f)()
	}
	c.text = string(b)
	return nil
}

func init() {
	for _, v := range []any{cartNew{}, cartOld{}, &counted{}} {
		gob.Register(v)
	}
}

// fleet is one visitor of several versions of a program, which share a store. To change
// the version is to change the names of types in the record.
type fleet struct {
	t      *testing.T
	b      *mapBackend
	f      *flamego.Flame
	cookie *http.Cookie
	do     func(session.Session, session.Flash)
	mu     sync.Mutex
	heard  []string
}

func newFleet(t *testing.T) *fleet {
	fl := &fleet{t: t, b: newMapBackend(), f: flamego.New()}
	fl.f.Use(session.Sessioner(session.Options{
		Config: struct{}{},
		Initer: session.BackendIniter(func(context.Context, struct{}) (*mapBackend, session.StoreConfig, error) {
			return fl.b, session.StoreConfig{}, nil
		}),
		ErrorFunc: func(err error) {
			fl.mu.Lock()
			defer fl.mu.Unlock()
			fl.heard = append(fl.heard, err.Error())
		},
	}))
	fl.f.Get("/", func(s session.Session, flash session.Flash) { fl.do(s, flash) })
	return fl
}

// visit makes a request, and returns its status.
func (fl *fleet) visit(do func(session.Session, session.Flash)) int {
	fl.t.Helper()
	fl.do = do
	req, rec := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	if fl.cookie != nil {
		req.AddCookie(fl.cookie)
	}
	fl.f.ServeHTTP(rec, req)
	if c := rec.Result().Cookies(); len(c) > 0 {
		fl.cookie = c[0]
	}
	return rec.Code
}

func (fl *fleet) use(do func(session.Session)) {
	fl.t.Helper()
	require.Equal(fl.t, 200, fl.visit(func(s session.Session, _ session.Flash) { do(s) }))
}

func (fl *fleet) rename(from, to string) {
	fl.t.Helper()
	fl.b.mu.Lock()
	defer fl.b.mu.Unlock()
	for id, r := range fl.b.records {
		require.Contains(fl.t, string(r.Data), from)
		r.Data = bytes.ReplaceAll(r.Data, []byte(from), []byte(to))
		fl.b.records[id] = r
	}
}

var newCartValue = cartNew{[]string{"a", "b"}, "X", map[string]any{"k": []any{nil, cartNew{Coupon: "inner"}}}}

func TestValueThatCannotBeDecoded(t *testing.T) {
	fl := newFleet(t)
	fl.use(func(s session.Session) { s.Set("userID", 42); s.Set("cart", newCartValue) })
	fl.rename("cartNew", "cartGon")
	for n := range 3 {
		fl.use(func(s session.Session) {
			assert.Equal(t, 42, s.Get("userID"))
			assert.Nil(t, s.Get("cart"))
			assert.Nil(t, s.Get("cart"))
			_, ok := session.Pop[cartNew](s, "cart")
			assert.False(t, ok)
			s.Set("n", n)
		})
	}
	require.Len(t, fl.heard, 1)
	for _, part := range []string{`key "cart"`, "session_test.cartGon", "gob.Register", "gob.RegisterName"} {
		assert.Contains(t, fl.heard[0], part)
	}

	called := false
	assert.Equal(t, 500, fl.visit(func(s session.Session, _ session.Flash) {
		session.Update(s, "cart", func(c cartNew) cartNew { called = true; return c })
	}))
	assert.False(t, called, "it would start from nothing")
	fl.use(func(s session.Session) {
		_, ok, err := session.Take[cartNew](t.Context(), s, "cart")
		assert.False(t, ok)
		assert.ErrorContains(t, err, "gob.Register")
	})

	fl.rename("cartGon", "cartNew")
	fl.use(func(s session.Session) {
		assert.Equal(t, newCartValue, s.Get("cart"))
		assert.Equal(t, 2, s.Get("n"))
	})
	fl.rename("cartNew", "cartGon")
	fl.use(func(s session.Session) { s.Delete("cart") })
	for _, r := range fl.b.records {
		assert.NotContains(t, string(r.Data), "cartGon")
	}
	fl.use(func(s session.Session) { s.Set("cart", newCartValue) })
	fl.rename("cartNew", "cartGon")
	fl.use(func(s session.Session) { s.Set("cart", cartOld{[]string{"c"}}) })
	fl.use(func(s session.Session) { assert.Equal(t, cartOld{[]string{"c"}}, s.Get("cart")) })
}

// What a server does not know of a type survives its writes, also if it has read it.
func TestNewerFieldsSurvive(t *testing.T) {
	fl := newFleet(t)
	fl.use(func(s session.Session) { s.Set("cart", newCartValue); s.Set(3, "not a string") })
	fl.rename("cartNew", "cartOld")
	for n := range 2 {
		fl.use(func(s session.Session) {
			assert.Equal(t, cartOld{[]string{"a", "b"}}, s.Get("cart"))
			assert.Equal(t, "not a string", s.Get(3))
			s.Set("n", n)
			s.Set("other", cartOld{[]string{"c"}})
		})
	}
	fl.use(func(s session.Session) { s.Delete("other") })
	fl.rename("cartOld", "cartNew")
	fl.use(func(s session.Session) {
		assert.Equal(t, newCartValue, s.Get("cart"))
		s.Get("cart").(cartNew).More["k"] = "changed in place"
		s.Set("n", 2)
	})
	fl.use(func(s session.Session) {
		assert.Equal(t, map[string]any{"k": "changed in place"}, s.Get("cart").(cartNew).More)
	})
}

func TestFlashThatCannotBeDecoded(t *testing.T) {
	fl := newFleet(t)
	nothing := func(session.Session, session.Flash) {}
	fl.use(func(s session.Session) { s.SetFlash(newCartValue) })
	fl.rename("cartNew", "cartGon")
	for range 2 {
		fl.visit(func(_ session.Session, flash session.Flash) { assert.Nil(t, flash) })
	}
	require.Len(t, fl.heard, 1)
	fl.rename("cartGon", "cartNew")
	fl.visit(func(_ session.Session, flash session.Flash) { assert.Equal(t, newCartValue, flash) })
	fl.visit(func(_ session.Session, flash session.Flash) { assert.Nil(t, flash) })

	// Another server adds one.
	fl.use(func(s session.Session) { s.SetFlash(newCartValue) })
	fl.rename("cartNew", "cartGon")
	fl.use(func(s session.Session) { session.AddFlash(s, "second") })
	fl.rename("cartGon", "cartNew")
	fl.visit(func(_ session.Session, flash session.Flash) { assert.Equal(t, []any{newCartValue, "second"}, flash) })

	// One of several: the others are shown.
	fl.use(func(s session.Session) { session.AddFlash(s, newCartValue); session.AddFlash(s, "b") })
	fl.rename("cartNew", "cartGon")
	fl.visit(func(_ session.Session, flash session.Flash) { assert.Equal(t, []any{"b"}, flash) })
	fl.use(func(s session.Session) { session.AddFlash(s, "c"); session.AddFlash(s, "d") })
	fl.visit(func(_ session.Session, flash session.Flash) { assert.Equal(t, []any{"c", "d"}, flash) })
	fl.rename("cartGon", "cartNew")
	fl.visit(func(_ session.Session, flash session.Flash) { assert.Equal(t, []any{newCartValue}, flash) })
	fl.visit(nothing)
	fl.visit(func(_ session.Session, flash session.Flash) { assert.Nil(t, flash) })
}

// A value is decoded once per request, when it is read, by whomever, without a lock.
func TestValueIsDecodedOnce(t *testing.T) {
	fl := newFleet(t)
	fl.use(func(s session.Session) { s.Set("a", &counted{"x"}); s.Set("b", &counted{"y"}); s.Set("c", 1) })
	decoded.Store(0)
	fl.use(func(s session.Session) { s.Set("c", 2) })
	assert.Zero(t, decoded.Load(), "nobody has read it")
	fl.use(func(s session.Session) {
		block := func() {
			meet.Store(nil)
			done := make(chan struct{})
			go func() { // Foreign code may use the session.
				s.Get("b")
				s.Set("c", 3)
				close(done)
			}()
			select {
			case <-done:
			case <-time.After(10 * time.Second):
				t.Error("a lock was held")
			}
		}
		meet.Store(&block)
		var wg sync.WaitGroup
		got := make([]any, 8)
		for i := range got {
			wg.Go(func() { got[i] = s.Get("a") })
		}
		wg.Wait()
		for _, v := range got {
			assert.Same(t, got[0], v)
		}
		assert.EqualValues(t, 2, decoded.Load())
		require.NoError(t, session.Commit(t.Context(), s))
		assert.Same(t, got[0], s.Get("a"), "after a commit")
	})
}
