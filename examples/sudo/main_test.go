package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/examples/internal/exampletest"
	"github.com/flamego/session/sessiontest"
)

func TestRecentPassword(t *testing.T) {
	clock := sessiontest.NewClock()
	m := exampletest.Open(t, session.Options{}, clock)
	b := exampletest.NewBrowser(t, exampletest.Serve(t, newApp(m, clock.Now)))
	enter := func(password string) exampletest.Page {
		return b.Post("/password", url.Values{"name": {"ann"}, "password": {password}})
	}
	id := func() string {
		require.Len(t, b.Cookies(), 1)
		return b.Cookies()[0].Value
	}
	away := func(d time.Duration) { // The visitor is there now and then.
		for ; d > 0; d -= 30 * time.Minute {
			clock.Advance(min(d, 30*time.Minute))
			require.Equal(t, "/", b.Get("/").Path)
		}
	}

	assert.Contains(t, b.Get("/").Body, `name="name"`, "nobody is signed in")
	assert.Contains(t, enter("wrong").Body, "That is not the password.")
	page := enter("open sesame")
	assert.Equal(t, "/", page.Path)
	assert.Contains(t, page.Body, "Hello ann")
	assert.Equal(t, "/delete", b.Get("/delete").Path, "the password was given just now")
	away(9*time.Minute + 59*time.Second)
	assert.Equal(t, "/delete", b.Get("/delete").Path)

	// At ten minutes, neither the page nor the form will do, and all others go on.
	away(time.Second)
	assert.Equal(t, "/password", b.Get("/delete").Path)
	assert.Equal(t, "/password", b.Post("/delete", nil).Path)
	page = b.Get("/password")
	assert.Contains(t, page.Body, "ann, enter your password again")
	assert.NotContains(t, page.Body, `name="name"`)
	assert.Contains(t, b.Get("/").Body, "Hello ann")

	// A wrong password changes nothing.
	before := id()
	assert.Contains(t, enter("wrong").Body, "That is not the password.")
	assert.Equal(t, "/password", b.Get("/delete").Path)
	assert.Equal(t, before, id())

	page = enter("open sesame")
	assert.Equal(t, "/delete", page.Path, "where the visitor wanted to go")
	assert.NotEqual(t, before, id())
	assert.False(t, m.Store().Exist(t.Context(), before), "whoever has the old ID gained nothing")

	// The window slides for nobody.
	for range 10 {
		clock.Advance(time.Minute)
		b.Get("/")
	}
	assert.Equal(t, "/password", b.Post("/delete", nil).Path)
	enter("open sesame")
	page = b.Post("/delete", nil)
	assert.Equal(t, http.StatusOK, page.Status)
	assert.Equal(t, "Your account is gone.", page.Body)
	assert.Equal(t, "/password", b.Get("/").Path)
}

// Everybody enters the password once a working day, however active.
func TestWorkingDay(t *testing.T) {
	clock := sessiontest.NewClock()
	b := exampletest.NewBrowser(t, exampletest.Serve(t, newApp(exampletest.Open(t, session.Options{}, clock), clock.Now)))
	b.Post("/password", url.Values{"name": {"ann"}, "password": {"open sesame"}})
	for range 15 {
		clock.Advance(30 * time.Minute)
		require.Equal(t, "/", b.Get("/").Path)
	}
	clock.Advance(30 * time.Minute)
	assert.Equal(t, "/password", b.Get("/").Path)
	// Whoever sits there cannot become somebody else by typing another name.
	page := b.Post("/password", url.Values{"name": {"bob"}, "password": {"open sesame"}})
	assert.Contains(t, page.Body, "Hello ann")
}

// TestGoOnStaysHere follows links whose paths browsers take for another site.
func TestGoOnStaysHere(t *testing.T) {
	clock := sessiontest.NewClock()
	m := exampletest.Open(t, session.Options{}, clock)
	f := flamego.New()
	f.Use(m.Sessioner())
	f.Get("/kept", func(s session.Session) string { to, _ := session.Get[string](s, "go on to"); return to })
	f.Get("/{**}", within(time.Minute, clock.Now))
	for path, want := range map[string]string{
		"//evil.example": "/evil.example", "///evil.example/x": "/evil.example/x", "/\\evil.example": "/%5Cevil.example", "/\t/evil.example": "/%09/evil.example", "/delete": "/delete",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = &url.URL{Path: path}
		rec := httptest.NewRecorder()
		f.ServeHTTP(rec, r)
		require.Len(t, rec.Result().Cookies(), 1, path)
		r = httptest.NewRequest(http.MethodGet, "/kept", nil)
		r.AddCookie(rec.Result().Cookies()[0])
		rec = httptest.NewRecorder()
		f.ServeHTTP(rec, r)
		assert.Equal(t, want, rec.Body.String(), path)
	}
}
