package main

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/examples/internal/exampletest"
)

func TestRecentPassword(t *testing.T) {
	clock := exampletest.NewClock()
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
	clock := exampletest.NewClock()
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
