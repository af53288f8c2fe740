package main

import (
	"bufio"
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

func TestEventsPage(t *testing.T) {
	s := newSite(t)
	carol := s.administrator(t)
	s.visitor(t).Post("/counter", nil)
	s.member(t, "Ann").Post("/signout", nil)
	page := carol.Get("/admin/events")
	for _, want := range []string{"A session began", "ended in its own browser", "ann · site", "carol · admin area", "visitor · site", `data-last="`} {
		assert.Contains(t, page.Body, want)
	}
	assert.NotContains(t, page.Body, carol.Session().ID())
	for range keepEvents {
		s.visitor(t).Post("/counter", nil)
	}
	assert.Equal(t, keepEvents, strings.Count(carol.Get("/admin/events").Body, "<li>"))
	assert.Equal(t, http.StatusNoContent, s.member(t, "Carol").Get(streamPath).Status)
	assert.Equal(t, http.StatusNoContent, s.member(t, "Ann").Get(streamPath).Status)
	assert.Equal(t, http.StatusNoContent, s.visitor(t).Get(streamPath).Status)
}

func TestAfter(t *testing.T) {
	l := newEventLog()
	observe := l.observe("here")
	numbers := func(after int) (list []int) {
		events, _ := l.after(after)
		for _, e := range events {
			list = append(list, e.Number)
		}
		return list
	}
	assert.Empty(t, numbers(0))
	for range 3 {
		observe(t.Context(), session.Event{Kind: session.Began})
		observe(t.Context(), session.Event{Kind: session.StoreCall})
	}
	assert.Equal(t, []int{1, 2, 3}, numbers(0))
	assert.Equal(t, []int{3}, numbers(2))
	assert.Empty(t, numbers(3))
	assert.Empty(t, numbers(99), "that of an earlier run of the program")
	for range keepEvents {
		observe(t.Context(), session.Event{Kind: session.Began})
	}
	assert.Len(t, numbers(0), keepEvents)
	assert.Equal(t, []int{keepEvents + 3}, numbers(keepEvents+2))
}

// streamEnd is the last line of a stream that the program has ended.
const streamEnd = "(end)"

// stream opens the stream of events as a browser does, over a network.
func stream(t *testing.T, s *site) (lines <-chan string) {
	t.Helper()
	srv := httptest.NewServer(s.app)
	t.Cleanup(srv.Close)
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	for _, path := range []string{"/signin", "/admin/enter"} {
		res, err := client.PostForm(srv.URL+path, signInAs("Carol"))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
	}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+streamPath+"?after=0", nil)
	require.NoError(t, err)
	res, err := client.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	c := make(chan string, 1)
	go func() {
		defer close(c)
		in := bufio.NewScanner(res.Body)
		for in.Scan() {
			select {
			case c <- in.Text():
			case <-ctx.Done():
				return
			}
		}
		if in.Err() == nil { // Not because the time is up.
			c <- streamEnd
		}
	}()
	return c
}

// waitFor reads until a line has the text.
func waitFor(t *testing.T, lines <-chan string, text string) {
	t.Helper()
	for line := range lines {
		if strings.Contains(line, text) {
			return
		}
	}
	t.Fatalf("the stream ended without %q", text)
}

func TestStream(t *testing.T) {
	s := newSite(t)
	lines := stream(t, s)
	waitFor(t, lines, "carol · admin area")
	s.member(t, "Ann")
	waitFor(t, lines, "ann · site")
}

func TestStreamEnds(t *testing.T) {
	for name, end := range map[string]func(s *site){
		"user's session ended":  func(s *site) { _ = s.users.EndAll(t.Context(), "carol") },
		"admin's session ended": func(s *site) { _ = s.admins.EndAll(t.Context(), "carol") },
		// The open page is no access.
		"admin's session expired": func(s *site) {
			for range 3 {
				s.Advance(4 * time.Minute)
				s.events.observe("test")(t.Context(), session.Event{Kind: session.Began})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			lines := stream(t, s)
			waitFor(t, lines, "carol · admin area")
			end(s)
			waitFor(t, lines, streamEnd)
		})
	}
}

func TestStreamEndsWithTheProgram(t *testing.T) {
	s := newSite(t)
	lines := stream(t, s)
	waitFor(t, lines, "carol · admin area")
	s.events.close()
	waitFor(t, lines, streamEnd)
}
