package sessiontest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/sessiontest"
)

// shop is an application under test.
func shop(m *session.Manager) *flamego.Flame {
	f := flamego.NewWithLogger(io.Discard)
	f.Use(m.Sessioner())
	f.Get("/", func(c flamego.Context, s session.Session, flash session.Flash) string {
		if _, ok := session.Get[int](s, "userID"); !ok {
			c.Redirect("/signin?from=/")
			return ""
		}
		return fmt.Sprint("home ", flash)
	})
	f.Get("/signin", func(c flamego.Context) string { return "sign in, from " + c.Query("from") })
	f.Post("/signin", func(c flamego.Context, s session.Session) error {
		s.Set("userID", 7)
		s.Set("name", c.Request().FormValue("name"))
		s.SetFlash("welcome")
		if err := s.RegenerateID(c.ResponseWriter(), c.Request().Request); err != nil {
			return err
		}
		c.Redirect("/", http.StatusSeeOther)
		return nil
	})
	f.Post("/signout", func(c flamego.Context, s session.Session) {
		session.Destroy(s)
		c.Redirect("/signin", http.StatusSeeOther)
	})
	return f
}

func TestBrowser(t *testing.T) {
	for name, opt := range map[string]session.Options{
		"defaults": {},
		"__Host-":  {Cookie: session.CookieOptions{Name: "__Host-shop", Secure: true}},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := session.NewManager(opt)
			require.NoError(t, err)
			defer func() { assert.NoError(t, m.Close(t.Context())) }()
			b := sessiontest.NewBrowser(t, shop(m), m)

			assert.Nil(t, b.Session())
			assert.Nil(t, b.Flash())
			page := b.Get("/")
			assert.Equal(t, "sign in, from /", page.Body)
			assert.Equal(t, "/signin?from=/", page.URL)
			assert.Nil(t, b.Session())

			page = b.Post("/signin", url.Values{"name": {"ann"}})
			assert.Equal(t, http.StatusOK, page.Status)
			assert.Equal(t, "home welcome", page.Body)
			require.NotNil(t, b.Session())
			assert.Equal(t, "ann", b.Session().Get("name"))
			assert.Nil(t, b.Flash(), "it was shown")

			b.SetFlash("saved")
			assert.Equal(t, "saved", b.Flash())
			assert.Equal(t, "home saved", b.Get("/").Body)
			assert.Equal(t, "home <nil>", b.Get("/").Body)

			other := sessiontest.NewBrowser(t, shop(m), m)
			other.SetSession(map[string]any{"userID": 1})
			assert.Equal(t, "home <nil>", other.Get("/").Body)

			b.Post("/signout", nil)
			assert.Nil(t, b.Session())
			assert.NotNil(t, other.Session())
		})
	}
}

// visitor returns a browser of an application that the function puts together.
func visitor(t *testing.T, opt session.Options, routes func(f *flamego.Flame)) *sessiontest.Browser {
	t.Helper()
	m, err := session.NewManager(opt)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Close(context.Background())) })
	f := flamego.NewWithLogger(io.Discard)
	f.Use(m.Sessioner())
	routes(f)
	return sessiontest.NewBrowser(t, f, m)
}

func showUser(s session.Session) string { return fmt.Sprint(s.Get("user")) }

// TestBrowserCookies checks that cookies go where a browser would send them.
func TestBrowserCookies(t *testing.T) {
	for name, tt := range map[string]struct {
		cookie        session.CookieOptions
		inside, aside string
	}{
		"Path":        {session.CookieOptions{Path: "/admin"}, "/admin/who", "/who"},
		"Domain":      {session.CookieOptions{Domain: "shop.example"}, "https://www.shop.example/who", "https://www.example/who"},
		"host only":   {session.CookieOptions{}, "/who", "https://www.localhost/who"},
		"Secure":      {session.CookieOptions{Domain: "shop.example", Secure: true}, "/who", "http://shop.example/who"},
		"Path, whole": {session.CookieOptions{Path: "/admin"}, "/admin", "/administrator"},
	} {
		t.Run(name, func(t *testing.T) {
			b := visitor(t, session.Options{Cookie: tt.cookie}, func(f *flamego.Flame) { f.Get("/{**}", showUser) })
			b.SetSession(map[string]any{"user": "ann"})
			require.NotNil(t, b.Session())
			assert.Equal(t, "ann", b.Get(tt.inside).Body)
			assert.Equal(t, "<nil>", b.Get(tt.aside).Body)
			b.SetFlash("hello")
			assert.Equal(t, "hello", b.Flash())
			assert.Equal(t, "ann", b.Session().Get("user"), "SetFlash keeps the session")
		})
	}
}

// TestBrowserRepeatsPost checks which redirects keep method and body (RFC 9110,
// section 15.4).
func TestBrowserRepeatsPost(t *testing.T) {
	for status, want := range map[int]string{
		http.StatusFound: "GET ", http.StatusSeeOther: "GET ",
		http.StatusTemporaryRedirect: "POST tea", http.StatusPermanentRedirect: "POST tea",
	} {
		b := visitor(t, session.Options{}, func(f *flamego.Flame) {
			f.Post("/cart", func(c flamego.Context) { c.Redirect("/basket", status) })
			f.Any("/basket", func(r *http.Request) string { return r.Method + " " + r.PostFormValue("item") })
		})
		form := url.Values{"item": {"tea"}}
		assert.Equal(t, want, b.Post("/cart", form).Body, status)

		// A request of the test's own cannot be asked for its body twice.
		req := httptest.NewRequest(http.MethodPost, "/cart", strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		assert.Equal(t, want, b.Do(req).Body, status)
	}
}

// TestBrowserStays checks redirects that are not followed: none if the test wants
// to see them, and never those to other sites.
func TestBrowserStays(t *testing.T) {
	b := visitor(t, session.Options{}, func(f *flamego.Flame) {
		f.Post("/signin", func(c flamego.Context, s session.Session) {
			s.Set("user", "ann")
			c.Redirect("/", http.StatusSeeOther)
		})
		f.Get("/oauth", func(c flamego.Context) { c.Redirect("https://accounts.example/authorize?state=1") })
		f.Get("/", showUser)
		f.Get("/loop", func(c flamego.Context) { c.Redirect("/loop") })
	})
	page := b.NoRedirects().Post("/signin", nil)
	assert.Equal(t, http.StatusSeeOther, page.Status)
	assert.Equal(t, "/", page.Header.Get("Location"))
	assert.Equal(t, "/signin", page.URL)
	assert.Equal(t, "ann", b.Get("/").Body, "it is the same visitor")

	page = b.Get("/oauth")
	assert.Equal(t, http.StatusFound, page.Status)
	assert.Equal(t, "https://accounts.example/authorize?state=1", page.Header.Get("Location"))

	assert.Equal(t, http.StatusFound, b.NoRedirects().Get("/loop").Status)
}

// TestBrowserTransports has sessions travel by other ways than cookies.
func TestBrowserTransports(t *testing.T) {
	routes := func(f *flamego.Flame) {
		f.Post("/signin", func(c flamego.Context, s session.Session) error {
			s.Set("user", "ann")
			if err := s.RegenerateID(c.ResponseWriter(), c.Request().Request); err != nil {
				return err
			}
			c.Redirect("/", http.StatusSeeOther) // Which has to be asked for with the new ID.
			return nil
		})
		f.Post("/signout", func(s session.Session) { session.Destroy(s) })
		f.Get("/", showUser)
	}
	token := func(r *http.Request) string { return strings.TrimPrefix(r.Header.Get("Authorization"), "Token ") }
	for name, opt := range map[string]session.Options{
		"bearer":   {Transport: session.BearerTransport()},
		"header":   {Transport: session.HeaderTransport("x-session")},
		"first of": {Transport: session.FirstOf(session.BearerTransport(), session.CookieTransport())},
		"cookie":   {Transport: session.FirstOf(session.CookieTransport(), session.QueryTransport("sid"))},
	} {
		t.Run(name, func(t *testing.T) {
			b := visitor(t, opt, routes)
			assert.Equal(t, "<nil>", b.Get("/").Body)
			assert.Nil(t, b.Session())
			for range 2 {
				assert.Equal(t, "ann", b.Post("/signin", nil).Body)
				require.NotNil(t, b.Session())
			}
			b.SetFlash("hello")
			assert.Equal(t, "hello", b.Flash())
			assert.Equal(t, "ann", b.Session().Get("user"))
			b.Post("/signout", nil)
			assert.Nil(t, b.Session())
			assert.Empty(t, b.Header)

			b.SetSession(map[string]any{"user": "bob"})
			assert.Equal(t, "bob", b.Get("/").Body)
		})
	}

	// The application tells the token in the body, and the test puts it where a
	// client would.
	b := visitor(t, session.Options{
		ReadIDFunc:  token,
		WriteIDFunc: func(http.ResponseWriter, *http.Request, string, bool) {},
	}, func(f *flamego.Flame) {
		f.Post("/token", func(s session.Session) string {
			s.Set("user", "ann")
			return s.ID()
		})
		f.Get("/", showUser)
	})
	b.Header.Set("Authorization", "Token "+b.Post("/token", nil).Body)
	assert.Equal(t, "ann", b.Get("/").Body)
	assert.Equal(t, "ann", b.Session().Get("user"))
	b.SetFlash("hello")
	assert.Equal(t, "hello", b.Flash())
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.Header.Set("Authorization", "Token of somebody else")
	assert.Equal(t, "<nil>", b.Do(req).Body, "the header of one request comes before that of all")

	// An ID in the URL of the latest page.
	b = visitor(t, session.Options{Transport: session.QueryTransport("sid")}, func(f *flamego.Flame) {
		f.Post("/signin", func(c flamego.Context, s session.Session) {
			s.Set("user", "ann")
			c.Redirect(session.URL(s, "/"), http.StatusSeeOther)
		})
		f.Get("/", showUser)
	})
	assert.Equal(t, "ann", b.Post("/signin", nil).Body)
	assert.Equal(t, "ann", b.Session().Get("user"))
	b.Get("/")
	assert.Nil(t, b.Session())
}

type (
	adminSession interface{ session.Session }
	adminFlash   any
)

// TestBrowserSideBySide checks that a test can reach the sessions of each Manager.
func TestBrowserSideBySide(t *testing.T) {
	for name, opt := range map[string]session.Options{
		"cookie": {Cookie: session.CookieOptions{Name: "admin", Path: "/admin"}},
		"bearer": {Transport: session.BearerTransport()},
	} {
		t.Run(name, func(t *testing.T) {
			users, err := session.NewManager(session.Options{})
			require.NoError(t, err)
			admins, err := session.NewManager(opt)
			require.NoError(t, err)
			f := flamego.NewWithLogger(io.Discard)
			f.Use(users.Sessioner(), session.SessionerAs[adminSession, adminFlash](admins))
			f.Get("/admin", func(s session.Session, as adminSession, flash session.Flash, af adminFlash) string {
				return fmt.Sprintf("%v %v %v %v", s.Get("name"), as.Get("name"), flash, af)
			})
			f.Post("/admin/signin", func(as adminSession) { as.Set("name", "root") })

			b := sessiontest.NewBrowser(t, f, users, admins)
			admin := b.Of(admins)
			b.SetSession(map[string]any{"name": "ann"})
			assert.Nil(t, admin.Session())
			b.Post("/admin/signin", nil)
			assert.Equal(t, "root", admin.Session().Get("name"))
			admin.SetFlash("hello")
			assert.Nil(t, b.Flash())
			assert.Equal(t, "ann root <nil> hello", b.Get("/admin").Body)
			admin.SetSession(map[string]any{"name": "rob"})
			assert.Equal(t, "ann rob <nil> <nil>", b.Of(users).Get("/admin").Body)
			assert.NoError(t, users.Close(t.Context()))
			assert.NoError(t, admins.Close(t.Context()))
		})
	}
}

// failing is a test that a Browser fails. It ends the goroutine, as a test does.
type failing struct {
	testing.TB
	text string
}

func (f *failing) Helper() {}
func (f *failing) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// TestBrowserFails checks what a test is told that asks for what there is not.
func TestBrowserFails(t *testing.T) {
	quiet := session.Options{WriteIDFunc: func(http.ResponseWriter, *http.Request, string, bool) {}}
	for want, try := range map[string]func(b *sessiontest.Browser, m *session.Manager){
		"tells clients no ID":          func(b *sessiontest.Browser, _ *session.Manager) { b.SetSession(nil) },
		"not one of those":             func(b *sessiontest.Browser, m *session.Manager) { b.Of(m) },
		"10 redirects":                 func(b *sessiontest.Browser, _ *session.Manager) { b.Get("/loop") },
		`invalid control character in`: func(b *sessiontest.Browser, _ *session.Manager) { b.Get("/\n") },
	} {
		m, err := session.NewManager(quiet)
		require.NoError(t, err)
		other, err := session.NewManager(session.Options{})
		require.NoError(t, err)
		f := flamego.NewWithLogger(io.Discard)
		f.Get("/loop", func(c flamego.Context) { c.Redirect("/loop") })
		var tb failing
		done := make(chan struct{})
		go func() {
			defer close(done)
			try(sessiontest.NewBrowser(&tb, f, m), other)
		}()
		<-done
		assert.Contains(t, tb.text, want)
		require.NoError(t, m.Close(t.Context()))
		require.NoError(t, other.Close(t.Context()))
	}
}
