package sessiontest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
	"github.com/flamego/session/sessiontest"
)

// shop is an application under test.
func shop(m *session.Manager) *flamego.Flame {
	f := flamego.NewWithLogger(io.Discard)
	f.Use(m.Sessioner())
	f.Get("/", func(c flamego.Context, s session.Session, flash session.Flash) string {
		if _, ok := session.Get[int](s, "user_id"); !ok {
			c.Redirect("/signin?from=/")
			return ""
		}
		return fmt.Sprint("home ", flash)
	})
	f.Get("/signin", func(c flamego.Context) string { return "sign in, from " + c.Query("from") })
	f.Post("/signin", func(c flamego.Context, s session.Session) error {
		s.Set("user_id", 7)
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
			other.SetSession(map[string]any{"user_id": 1})
			assert.Equal(t, "home <nil>", other.Get("/").Body)

			b.Post("/signout", nil)
			assert.Nil(t, b.Session())
			assert.NotNil(t, other.Session())
		})
	}
}

// TestBrowserNeedsACookie tells a Browser from which nothing could be set.
func TestBrowserNeedsACookie(t *testing.T) {
	for want, way := range map[string]session.Transport{
		"":                session.FirstOf(session.BearerTransport(), session.QueryTransport("sid")),
		"flamego_session": session.FirstOf(session.BearerTransport(), session.CookieTransport()),
	} {
		m, err := session.NewManager(session.Options{Transport: way})
		require.NoError(t, err)
		assert.Equal(t, want, hook.CookieName(m))
		require.NoError(t, m.Close(context.Background()))
	}
}
