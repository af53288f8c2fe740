package main

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/sessiontest"
)

func isSignedIn(b *sessiontest.Browser) bool { return b.Get("/account").URL == "/account" }

func handles(p sessiontest.Page) (list []string) {
	for _, m := range regexp.MustCompile(`name="handle" value="([^"]+)"`).FindAllStringSubmatch(p.Body, -1) {
		list = append(list, m[1])
	}
	return list
}

func TestEndSessions(t *testing.T) {
	s := newSite(t)
	here, there, third, bob := s.member(t, "Ann"), s.member(t, "Ann"), s.member(t, "Ann"), s.member(t, "Bob")
	page := here.Get("/account/sessions")
	list := handles(page)
	require.Len(t, list, 2, "this browser has no such button")
	assert.Contains(t, page.Body, "End all others")

	bob.Post("/account/sessions/end", url.Values{"handle": {list[0]}})
	assert.True(t, isSignedIn(there), "somebody else's session was ended")
	page = here.Post("/account/sessions/end", url.Values{"handle": {list[0]}})
	assert.Contains(t, page.Body, "That session has ended")
	assert.False(t, isSignedIn(there))
	assert.True(t, isSignedIn(third))

	page = here.Post("/account/sessions/end-others", nil)
	assert.Contains(t, page.Body, "everywhere but here")
	assert.NotContains(t, page.Body, "End all others")
	assert.False(t, isSignedIn(third))
	assert.True(t, isSignedIn(here))
	assert.True(t, isSignedIn(bob))
}

func TestRemember(t *testing.T) {
	s := newSite(t)
	plain, kept := s.member(t, "Ann"), s.visitor(t)
	form := signInAs("Ann")
	form.Set("remember", "yes")
	page := kept.NoRedirects().Post("/signin", form)
	assert.Contains(t, page.Header.Get("Set-Cookie"), "Max-Age=2592000")
	assert.Contains(t, plain.Get("/account").Body, "after 90 minutes without a visit")
	assert.Contains(t, kept.Get("/account").Body, "after 30 days without a visit")
	list := plain.Get("/account/sessions").Body
	assert.Equal(t, 1, strings.Count(list, "after 90 minutes without a visit</p>\n    </div>"), list)
	assert.Equal(t, 1, strings.Count(list, "after 30 days"), list)
	s.Advance(29 * 24 * time.Hour)
	assert.False(t, isSignedIn(plain))
	assert.True(t, isSignedIn(kept))
}

func TestTooManySessions(t *testing.T) {
	s := newSite(t)
	first := s.member(t, "Ann")
	for range 10 {
		s.member(t, "Ann")
	}
	assert.False(t, isSignedIn(first))
}

func TestAccounts(t *testing.T) {
	a := newAccounts(1)
	assert.NotEqual(t, a.passwords["ann"], a.passwords["bob"], "the same password has the same hash")
	u, ok := a.check("ANN", everyPassword)
	assert.True(t, ok)
	assert.Equal(t, user{ID: "ann", Name: "Ann"}, u)
}

// TestLongTarget asks for pages with long URLs, which nobody keeps.
func TestLongTarget(t *testing.T) {
	s := newSite(t)
	b := s.visitor(t)
	b.Get("/account?x=" + strings.Repeat("x", 60_000))
	assert.Equal(t, "/", b.Post("/signin", signInAs("Ann")).URL)
}
