package compat

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/flamego/flamego"
	"github.com/flamego/flamego/inject"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// Below are the ways in which known applications use the API.

func flame(handlers ...flamego.Handler) *flamego.Flame {
	f := flamego.NewWithLogger(io.Discard)
	f.Use(handlers...)
	return f
}

// captchaInvoker is what the middlewares of Flamego's family are: handlers that
// are called without reflection, and assert the types themselves.
type captchaInvoker func(flamego.Context, session.Session)

var _ inject.FastInvoker = captchaInvoker(nil)

func (invoke captchaInvoker) Invoke(args []interface{}) ([]reflect.Value, error) {
	invoke(args[0].(flamego.Context), args[1].(session.Session))
	return nil, nil
}

// captcha is the service that such a middleware maps.
type captcha struct{ s session.Session }

func (c *captcha) check(answer string) bool {
	want, ok := c.s.Get("captcha").(string)
	c.s.Delete("captcha")
	return ok && answer == want
}

func TestFastInvoker(t *testing.T) {
	eachStore(t, func(t *testing.T, opt session.Options) {
		m := manager(t, opt)
		f := flame(m.Sessioner(), captchaInvoker(func(c flamego.Context, s session.Session) {
			if c.Request().URL.Path == "/image" {
				s.Set("captcha", "8gk2")
			}
			c.Map(&captcha{s})
		}))
		f.Get("/image", func() string { return "(picture)" })
		f.Get("/check", func(c flamego.Context, x *captcha) string { return fmt.Sprint(x.check(c.Query("answer"))) })
		b := newTester(t, f)
		assert.Equal(t, "false", b.get("/check?answer=").body)
		require.NotNil(t, b.get("/image").cookie)
		assert.Equal(t, "true", b.get("/check?answer=8gk2").body)
		assert.Equal(t, "false", b.get("/check?answer=8gk2").body, "a text works once")
		b.get("/image")
		assert.Equal(t, "false", b.get("/check?answer=guess").body)
		assert.Equal(t, "false", b.get("/check?answer=8gk2").body, "a wrong guess uses it up")
	})
}

// An API whose token is the session ID: it comes in a header and is handed out
// by the handler, so nothing is to be written to the response.
func TestIDAsToken(t *testing.T) {
	eachStore(t, func(t *testing.T, opt session.Options) {
		opt.ReadIDFunc = func(r *http.Request) string { return r.Header.Get("Authorization") }
		opt.WriteIDFunc = func(http.ResponseWriter, *http.Request, string, bool) {}
		m := manager(t, opt)
		f := flame(m.Sessioner())
		f.Get("/login", func(s session.Session) string {
			s.Set("user", "ann")
			return s.ID()
		})
		f.Get("/empty", func(s session.Session) string { return s.ID() })
		f.Get("/user", func(s session.Session) (int, string) {
			user, ok := s.Get("user").(string)
			if !ok {
				return http.StatusUnauthorized, s.ID()
			}
			return http.StatusOK, user
		})
		b := newTester(t, f)
		login := b.get("/login")
		assert.Nil(t, login.cookie)

		b.Header.Set("Authorization", login.body)
		assert.Equal(t, page{status: http.StatusOK, body: "ann"}, b.get("/user"))
		assert.Equal(t, login.body, b.get("/login").body, "the token stays")

		// An unknown token gets a session of its own, under a new ID.
		for _, token := range []string{"ffffffffffffffffffffffffffffffff", "Bearer x", "../../etc/passwd"} {
			b.Header.Set("Authorization", token)
			got := b.get("/user")
			assert.Equal(t, http.StatusUnauthorized, got.status)
			assert.Len(t, got.body, 32)
			assert.NotEqual(t, token, got.body)
		}

		// The ID is good from the moment it was asked for, whatever was set.
		b.Header.Set("Authorization", "")
		empty := b.get("/empty").body
		b.Header.Set("Authorization", empty)
		assert.Equal(t, empty, b.get("/empty").body)
		assert.Equal(t, empty, b.get("/login").body)
		assert.Equal(t, "ann", b.get("/user").body)
	})
}

// The old record had to be removed by hand; doing so is still fine.
func TestRegenerateThenDestroyOld(t *testing.T) {
	eachStore(t, func(t *testing.T, opt session.Options) {
		m := manager(t, opt)
		f := flame(m.Sessioner())
		f.Get("/set", func(s session.Session) string {
			s.Set("cart", 3)
			return s.ID()
		})
		f.Get("/login", func(c flamego.Context, s session.Session, store session.Store) (string, error) {
			old := s.ID()
			if err := s.RegenerateID(c.ResponseWriter(), c.Request().Request); err != nil {
				return "", err
			}
			if err := store.Destroy(c.Request().Context(), old); err != nil {
				return "", err
			}
			s.Set("user", "ann")
			return s.ID(), nil
		})
		f.Get("/get", func(s session.Session) string { return fmt.Sprintf("%v %v", s.Get("cart"), s.Get("user")) })
		b := newTester(t, f)
		old := b.get("/set").body
		login := b.get("/login")
		require.Equal(t, http.StatusOK, login.status, login.body)
		require.NotNil(t, login.cookie)
		assert.Equal(t, login.cookie.Value, login.body)
		assert.NotEqual(t, old, login.body)
		assert.Equal(t, "3 ann", b.get("/get").body)
		assert.False(t, m.Store().Exist(t.Context(), old))

		// The same for a visitor who is new.
		fresh := newTester(t, f)
		login = fresh.get("/login")
		require.Equal(t, http.StatusOK, login.status, login.body)
		assert.Equal(t, "<nil> ann", fresh.get("/get").body)
		assert.Equal(t, login.body, login.cookie.Value)
	})
}

// Handlers reach other people's sessions by the injected Store, and other parts
// of the program by a Store that an Initer has been wrapped to catch.
func TestStoreOfOthers(t *testing.T) {
	eachStore(t, func(t *testing.T, opt session.Options) {
		var caught session.Store
		initer := opt.Initer
		opt.Initer = func(ctx context.Context, args ...interface{}) (store session.Store, err error) {
			caught, err = initer(ctx, args...)
			return caught, err
		}
		m := manager(t, opt)
		f := flame(m.Sessioner())
		f.Get("/id", func(s session.Session) string { return s.ID() })
		f.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("notice")) })
		f.Get("/notify", func(c flamego.Context, store session.Store) error {
			other, err := store.Read(c.Request().Context(), c.Query("id"))
			if err != nil {
				return err
			}
			other.Set("notice", "from the admin")
			return store.Save(c.Request().Context(), other)
		})
		f.Get("/kick", func(c flamego.Context, store session.Store) error {
			return store.Destroy(c.Request().Context(), c.Query("id"))
		})
		admin, user := newTester(t, f), newTester(t, f)
		id := user.get("/id").body
		require.Equal(t, http.StatusOK, admin.get("/notify?id="+id).status)
		assert.Equal(t, "from the admin", user.get("/get").body)

		s, err := caught.Read(t.Context(), id)
		require.NoError(t, err)
		s.Set("notice", "from a job")
		require.NoError(t, caught.Save(t.Context(), s))
		require.NoError(t, caught.Touch(t.Context(), id))
		assert.Equal(t, "from a job", user.get("/get").body)

		require.Equal(t, http.StatusOK, admin.get("/kick?id="+id).status)
		assert.False(t, caught.Exist(t.Context(), id))
		assert.Equal(t, "<nil>", user.get("/get").body)
	})
}

// A value that is changed in place counts once it is set again.
func TestChangedInPlace(t *testing.T) {
	eachStore(t, func(t *testing.T, opt session.Options) {
		f := flame(manager(t, opt).Sessioner())
		f.Get("/add", func(s session.Session) string {
			cart, ok := s.Get("cart").(map[string]int)
			if !ok {
				cart = make(map[string]int)
			}
			cart["apples"]++
			s.Set("cart", cart)
			return fmt.Sprint(cart)
		})
		b := newTester(t, f)
		for n := 1; n <= 3; n++ {
			assert.Equal(t, fmt.Sprintf("map[apples:%d]", n), b.get("/add").body)
		}
	})
}

// The recorder of net/http/httptest is a ResponseWriter as good as another.
func TestRecorder(t *testing.T) {
	f := flame(session.Sessioner())
	f.Get("/set", func(s session.Session) { s.Set("k", "v") })
	f.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	set := httptest.NewRecorder()
	f.ServeHTTP(set, httptest.NewRequest(http.MethodGet, "/set", nil))

	// Tests of old send back the whole Set-Cookie line.
	req := httptest.NewRequest(http.MethodGet, "/get", nil)
	req.Header.Set("Cookie", set.Header().Get("Set-Cookie"))
	get := httptest.NewRecorder()
	f.ServeHTTP(get, req)
	assert.Equal(t, "v", get.Body.String())
}
