package main

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/examples/internal/exampletest"
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

func TestChangePassword(t *testing.T) {
	const next = "correct horse"
	s := newSite(t)
	here, there, bob := s.administrator(t), s.administrator(t), s.member(t, "Bob")
	change := func(old, typed, repeat string) sessiontest.Page {
		return here.Post("/account/password", url.Values{"old": {old}, "new": {typed}, "repeat": {repeat}})
	}
	for _, tt := range []struct{ old, typed, repeat, problem string }{
		{"x", next, next, "This is not your password."},
		{firstPassword, "seven c", "seven c", "longer password"},
		{firstPassword, strings.Repeat("x", maxTyped+1), strings.Repeat("x", maxTyped+1), "shorter password"},
		{firstPassword, next, next + "!", "the same password again"},
	} {
		page := change(tt.old, tt.typed, tt.repeat)
		assert.Equal(t, http.StatusUnprocessableEntity, page.Status)
		assert.Contains(t, page.Body, tt.problem)
	}
	assert.True(t, isSignedIn(there), "signed out by a mistake")

	before := here.Session().ID()
	page := change(firstPassword, next, next)
	assert.Equal(t, "/account", page.URL)
	assert.Contains(t, page.Body, "Your password is changed.")
	assert.Contains(t, page.Body, "1 other session ended")
	assert.NotEqual(t, before, here.Session().ID())
	assert.False(t, isSignedIn(there))
	assert.True(t, isSignedIn(bob))
	assert.Equal(t, "/admin/enter", here.Get("/admin").URL, "the admin area has not asked again")

	assert.Equal(t, http.StatusUnprocessableEntity, there.Post("/signin", signInAs("Carol")).Status)
	assert.Equal(t, http.StatusOK, there.Post("/signin", url.Values{"name": {" CAROL "}, "password": {next}}).Status)
}

func TestRemember(t *testing.T) {
	s := newSite(t)
	plain, kept := s.member(t, "Ann"), s.visitor(t)
	form := signInAs("Ann")
	form.Set("remember", "yes")
	page := kept.NoRedirects().Post("/signin", form)
	assert.Contains(t, page.Header.Get("Set-Cookie"), "Max-Age=2592000")
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

func TestAdminArea(t *testing.T) {
	s := newSite(t)
	ann, carol := s.member(t, "Ann"), s.member(t, "Carol")
	assert.Equal(t, http.StatusForbidden, ann.Get("/admin").Status)
	assert.Equal(t, http.StatusForbidden, ann.Post("/admin/enter", url.Values{"password": {firstPassword}}).Status)
	assert.Equal(t, http.StatusForbidden, ann.Post("/admin/end", url.Values{"user": {"carol"}}).Status)
	assert.Equal(t, "/signin", s.visitor(t).Get("/admin").URL)
	assert.Equal(t, "/admin/enter", carol.Get("/admin").URL)
	assert.Equal(t, http.StatusUnprocessableEntity, carol.Post("/admin/enter", url.Values{"password": {"x"}}).Status)

	page := carol.Post("/admin/enter", url.Values{"password": {firstPassword}})
	assert.Contains(t, page.Body, "You are in the admin area.")
	assert.Contains(t, page.Body, "in 10 minutes")
	assert.NotContains(t, page.Body, "Sign Carol out")
	page = carol.Post("/admin/end", url.Values{"user": {"ann"}})
	assert.Contains(t, page.Body, "Ann is signed out everywhere.")
	assert.False(t, isSignedIn(ann))
	assert.Contains(t, carol.Post("/admin/end", url.Values{"user": {"dave"}}).Body, "no such account")
	assert.Contains(t, carol.Post("/admin/end", url.Values{"user": {"carol"}}).Body, "everywhere but here")

	// Only the area itself keeps its session alive.
	for range 3 {
		s.Advance(4 * time.Minute)
		assert.True(t, isSignedIn(carol))
	}
	assert.Equal(t, "/admin/enter", carol.Get("/admin").URL)
	carol.Post("/admin/enter", url.Values{"password": {firstPassword}})
	for range 3 {
		s.Advance(4 * time.Minute)
		assert.Equal(t, "/admin", carol.Get("/admin").URL)
	}
	carol.Post("/admin/leave", nil)
	assert.Equal(t, "/admin/enter", carol.Get("/admin").URL)
	assert.True(t, isSignedIn(carol))
}

// The second session is worth nothing without the first one, and does not outlive it.
func TestAdminAreaEnds(t *testing.T) {
	for name, end := range map[string]func(s *site, carol *sessiontest.Browser){
		"signed out":         func(_ *site, carol *sessiontest.Browser) { carol.Post("/signout", nil) },
		"ended from afar":    func(s *site, _ *sessiontest.Browser) { _ = s.users.EndAll(t.Context(), "carol") },
		"as another user":    func(_ *site, carol *sessiontest.Browser) { carol.Post("/signin", signInAs("Ann")) },
		"by the other store": func(s *site, _ *sessiontest.Browser) { _ = s.admins.EndAll(t.Context(), "carol") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			carol := s.administrator(t)
			end(s, carol)
			assert.NotEqual(t, "/admin", carol.Get("/admin/events").URL)
			assert.NotEqual(t, "/admin/events", carol.NoRedirects().Get("/admin/events").Header.Get("Location"))
			carol.Post("/signin", signInAs("Carol"))
			assert.Equal(t, "/admin/enter", carol.Get("/admin").URL)
		})
	}
}

func TestAccounts(t *testing.T) {
	a := newAccounts(1)
	assert.NotEqual(t, a.passwords["ann"], a.passwords["bob"], "the same password has the same hash")
	u, _, ok := a.check("ANN", firstPassword)
	assert.True(t, ok)
	assert.Equal(t, user{ID: "ann", Name: "Ann"}, u)
}

// TestOldPasswordMeetsChange has the password change while a sign-in with the old one is being
// stored, which is after it was checked.
func TestOldPasswordMeetsChange(t *testing.T) {
	s := newSite(t)
	memory, _ := findBackend("memory")
	cfg, a := config{backend: memory, lifetime: time.Hour}, newAccounts(1)
	opt := userOptions(cfg, s.events)
	var left atomic.Int64 // calls of the store until the password changes; less than one for never
	changed := make(chan error, 1)
	observe := opt.Observe
	opt.Observe = func(ctx context.Context, e session.Event) {
		observe(ctx, e)
		if e.Kind == session.StoreCall && left.Add(-1) == 0 {
			a.setPassword("ann", "battery staple")
			go func() { changed <- s.users.EndAll(context.Background(), "ann") }()
		}
	}
	s.users = exampletest.Open(t, opt, s.Clock)
	s.app = newApp(cfg, s.users, s.admins, a, s.events)
	for calls := range int64(4) {
		a.setPassword("ann", firstPassword)
		left.Store(calls + 1)
		b := s.visitor(t)
		b.Post("/signin", signInAs("Ann"))
		if left.Swap(0) < 1 {
			require.NoError(t, <-changed)
			assert.False(t, isSignedIn(b), calls)
		}
	}
}

// TestLongTarget asks for pages with long URLs, which nobody keeps.
func TestLongTarget(t *testing.T) {
	s := newSite(t)
	b := s.visitor(t)
	b.Get("/account?x=" + strings.Repeat("x", 60_000))
	assert.Equal(t, "/", b.Post("/signin", signInAs("Ann")).URL)
}
