package session_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

type (
	adminSession interface{ session.Session }
	adminFlash   interface{}
	thirdSession interface{ session.Session }
	thirdFlash   interface{}
)

// manager returns another Manager, with its own cookie.
func manager(t *testing.T, cookie string, change ...func(*session.Options)) *session.Manager {
	opt := session.Options{Cookie: session.CookieOptions{Name: cookie}, GCInterval: 1e6 * time.Hour}
	for _, fn := range change {
		fn(&opt)
	}
	m, err := session.NewManager(opt)
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close(context.Background()) })
	return m
}

// TestSideBySide has visitors and administrators on the same requests, in either
// order.
func TestSideBySide(t *testing.T) {
	for _, adminFirst := range []bool{false, true} {
		now := time.Unix(1e9, 0)
		clock := func(o *session.Options) { hook.SetClock(o, func() time.Time { return now }) }
		users := manager(t, "user", clock)
		admin := manager(t, "admin", clock, func(o *session.Options) {
			o.Config = session.MemoryConfig{Lifetime: 10 * time.Minute}
		})
		a := &app{Flame: silent(), m: users}
		if adminFirst {
			a.Use(session.SessionerAs[adminSession, adminFlash](admin), users.Sessioner())
		} else {
			a.Use(users.Sessioner(), session.SessionerAs[adminSession, adminFlash](admin))
		}
		a.Get("/both", func(s session.Session, as adminSession) {
			s.Set("who", "user")
			as.Set("who", "admin")
			as.SetFlash("for admins")
		})
		a.Get("/read", func(s session.Session, as adminSession, f session.Flash, af adminFlash, m *session.Manager) string {
			assert.Same(t, users, m)
			return fmt.Sprint(s.Get("who"), " ", as.Get("who"), " ", f, " ", af)
		})
		a.Get("/out", func(as adminSession) { session.Destroy(as) })

		rec := a.ask("/both")
		cookies := make(map[string]string)
		for _, c := range rec.Result().Cookies() {
			cookies[c.Name] = c.Value
		}
		require.Len(t, cookies, 2)
		both := fmt.Sprintf("user=%s; admin=%s", cookies["user"], cookies["admin"])
		assert.Equal(t, "user admin <nil> for admins", a.ask("/read", "Cookie", both).Body.String())
		assert.Equal(t, "user admin <nil> <nil>", a.ask("/read", "Cookie", both).Body.String())
		swapped := fmt.Sprintf("user=%s; admin=%s", cookies["admin"], cookies["user"])
		assert.Equal(t, "<nil> <nil> <nil> <nil>", a.ask("/read", "Cookie", swapped).Body.String())

		now = now.Add(20 * time.Minute) // The administrator has been idle for too long.
		assert.Equal(t, "user <nil> <nil> <nil>", a.ask("/read", "Cookie", both).Body.String())
		rec = a.ask("/both", "Cookie", both)
		require.Len(t, rec.Result().Cookies(), 1)
		both = fmt.Sprintf("user=%s; admin=%s", cookies["user"], rec.Result().Cookies()[0].Value)
		rec = a.ask("/out", "Cookie", both)
		assert.Contains(t, rec.Header().Get("Set-Cookie"), "admin=;")
		assert.Equal(t, "user <nil> <nil> <nil>", a.ask("/read", "Cookie", both).Body.String())
	}
}

// TestSideBySideFails makes one of two stores fail: the client gets 500, and is told
// only what was stored.
func TestSideBySideFails(t *testing.T) {
	for _, adminFirst := range []bool{false, true} {
		a := newApp(t)
		a.Flame = silent()
		admin := manager(t, "admin")
		as := session.SessionerAs[adminSession, adminFlash](admin)
		if adminFirst {
			a.Use(as, a.m.Sessioner())
		} else {
			a.Use(a.m.Sessioner(), as)
		}
		a.Get("/", func(s session.Session, as adminSession) string {
			s.Set("k", 1)
			as.Set("k", 1)
			a.b.fail.Store(true)
			return "secret"
		})
		rec := a.ask("/")
		assert.Equal(t, http.StatusInternalServerError, rec.Code)
		assert.NotContains(t, rec.Body.String(), "secret")
		assert.NotContains(t, fmt.Sprint(rec.Header()["Set-Cookie"]), "flamego_session")
	}
}

func TestSideBySideErrors(t *testing.T) {
	var reported error
	first := manager(t, "same")
	second := manager(t, "same", func(o *session.Options) { o.ErrorFunc = func(err error) { reported = err } })
	for _, both := range [][]flamego.Handler{
		{first.Sessioner(), session.SessionerAs[adminSession, adminFlash](second)},
		{session.SessionerAs[adminSession, adminFlash](first), second.Sessioner()},
		{first.Sessioner(), second.Sessioner()},
	} {
		reported = nil
		a := &app{Flame: silent()}
		a.Use(both...)
		a.Get("/", func() string { return "ok" })
		assert.Equal(t, http.StatusInternalServerError, a.ask("/").Code)
		assert.ErrorContains(t, reported, `the cookie "same"`)
		assert.ErrorContains(t, reported, "set another Options.Cookie.Name")
	}
	reported = nil
	a := &app{Flame: silent()}
	a.Use(second.Sessioner(), session.SessionerAs[adminSession, adminFlash](second))
	a.Get("/", func() string { return "ok" })
	assert.Equal(t, http.StatusInternalServerError, a.ask("/").Code)
	assert.ErrorContains(t, reported, "make a Manager for each")

	// Twice the same is once, as ever.
	a = &app{Flame: silent()}
	as := session.SessionerAs[adminSession, adminFlash](second)
	a.Use(as, first.Sessioner())
	a.Get("/", as, func(s adminSession) string { return "ok" })
	assert.Equal(t, http.StatusInternalServerError, a.ask("/").Code, "the same cookie again")
	a = &app{Flame: silent()}
	a.Use(as)
	a.Get("/", as, func(s adminSession) string { return "ok" })
	assert.Equal(t, http.StatusOK, a.ask("/").Code)

	type concrete struct{ session.Session }
	type more interface {
		session.Session
		More()
	}
	type named interface{ Name() string }
	for _, fn := range []func(){
		func() { session.SessionerAs[session.Session, adminFlash](first) },
		func() { session.SessionerAs[adminSession, session.Flash](first) },
		func() { session.SessionerAs[concrete, adminFlash](first) },
		func() { session.SessionerAs[more, adminFlash](first) },
		func() { session.SessionerAs[adminSession, named](first) },
		func() { session.SessionerAs[adminSession, any](first) },
		func() { session.SessionerAs[adminSession, adminFlash](nil) },
	} {
		assert.Panics(t, fn)
	}
}

// TestSideBySideTells makes one of two stores fail after the other has stored, or
// return an error after storing: the client must learn the ID that its session moved
// to.
func TestSideBySideTells(t *testing.T) {
	for i := range 8 {
		write, adminFirst, ended := i&1 != 0, i&2 != 0, i&4 != 0
		name := fmt.Sprintf("written %v, admin first %v, ended %v", write, adminFirst, ended)
		a := newApp(t)
		a.Flame = silent()
		admin := manager(t, "admin")
		as := session.SessionerAs[adminSession, adminFlash](admin)
		third := session.SessionerAs[thirdSession, thirdFlash](manager(t, "third"))
		if adminFirst {
			a.Use(as, third, a.m.Sessioner())
		} else {
			a.Use(a.m.Sessioner(), third, as)
		}
		a.Get("/new", func(as adminSession) { as.Set("k", "v") })
		a.Get("/read", func(as adminSession) string { return fmt.Sprint(as.Get("k")) })
		a.Get("/", func(c flamego.Context, s session.Session, as adminSession) {
			s.Set("k", 1)
			if ended {
				session.Destroy(as)
			} else {
				assert.NoError(t, as.RegenerateID(c.ResponseWriter(), c.Request().Request))
			}
			a.b.fail.Store(true)
			if write {
				_, _ = c.ResponseWriter().Write([]byte("secret"))
			}
		})
		id := a.ask("/new").Result().Cookies()[0].Value
		rec := a.ask("/", "Cookie", "admin="+id)
		assert.Equal(t, http.StatusInternalServerError, rec.Code, name)
		assert.NotContains(t, rec.Body.String(), "secret", name)
		cookies := rec.Result().Cookies()
		require.Len(t, cookies, 1, name)
		assert.Equal(t, "admin", cookies[0].Name, name)
		want := "v"
		if ended {
			assert.Empty(t, cookies[0].Value)
			want = "<nil>"
		}
		assert.Equal(t, want, a.ask("/read", "Cookie", "admin="+cookies[0].Value).Body.String(), name)
	}
}

// TestMappedManager maps the Manager in the application, which must not be mistaken for
// its middleware.
func TestMappedManager(t *testing.T) {
	m := manager(t, "user")
	a := &app{Flame: silent(), m: m}
	a.Map(m)
	a.Use(m.Sessioner())
	a.Get("/", m.Sessioner(), func(s session.Session) string { s.Set("k", 1); return "ok" })
	rec := a.ask("/")
	assert.Equal(t, http.StatusOK, rec.Code)
	assert.Len(t, rec.Result().Cookies(), 1)
}
