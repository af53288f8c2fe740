package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/examples/internal/exampletest"
	"github.com/flamego/session/sessiontest"
)

// lines is a log, which other goroutines write.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.buf.Reset()
	return l.buf.String()
}

// line is what the test looks at.
type line struct{ Level, Msg, From, Owner, Session, By, Op, Error string }

func parse(t *testing.T, log string) (all []line) {
	t.Helper()
	for l := range strings.Lines(log) {
		var one line
		require.NoError(t, json.Unmarshal([]byte(l), &one))
		all = append(all, one)
	}
	return all
}

func TestLog(t *testing.T) {
	var log lines
	clock := sessiontest.NewClock()
	m := exampletest.Open(t, options(slog.New(slog.NewJSONHandler(&log, nil))), clock)
	b := exampletest.NewBrowser(t, exampletest.Serve(t, newApp(m)))

	var ids []string
	name := ""
	// step does one thing, and checks the line that it leaves.
	step := func(method, path string, want line) {
		t.Helper()
		page := b.Do(b.Request(method, path, url.Values{"name": {"ann"}}))
		require.Equal(t, http.StatusOK, page.Status, page.Body)
		for _, c := range b.Cookies() {
			ids = append(ids, c.Value)
		}
		text := log.take()
		for _, id := range ids {
			assert.NotContains(t, text, id)
		}
		all := parse(t, text)
		if want.Msg == "" {
			assert.Empty(t, all)
			return
		}
		require.Len(t, all, 1, text)
		got := all[0]
		assert.True(t, strings.HasPrefix(got.From, "127.0.0.1:"), got.From)
		name = got.Session
		got.From, got.Session = "", ""
		assert.Equal(t, want, got)
	}

	step(http.MethodGet, "/", line{})
	step(http.MethodPost, "/signin", line{Level: "INFO", Msg: "session began", Owner: "ann"})
	require.Len(t, name, 16)
	signedIn := name
	step(http.MethodGet, "/", line{})
	step(http.MethodPost, "/signout", line{Level: "INFO", Msg: "session ended", Owner: "ann", By: "request"})
	assert.Equal(t, signedIn, name, "both lines are of the same session")

	require.NotEmpty(t, ids)
	b = b.WithCookies([]*http.Cookie{{Name: "flamego_session", Value: ids[0]}})
	step(http.MethodGet, "/", line{Level: "WARN", Msg: "session unknown_id"})
	assert.Equal(t, signedIn, name, "it is the one that has ended")
	b = b.WithCookies([]*http.Cookie{{Name: "flamego_session", Value: "../../etc/passwd"}})
	step(http.MethodGet, "/", line{Level: "WARN", Msg: "session malformed_id"})

	b = exampletest.NewBrowser(t, exampletest.Serve(t, newApp(m)))
	step(http.MethodPost, "/signin", line{Level: "INFO", Msg: "session began", Owner: "ann"})
	clock.Advance(2 * time.Hour)
	step(http.MethodGet, "/", line{Level: "INFO", Msg: "session expired"})
}

// What a debugger wants to see is there, if asked for.
func TestDebug(t *testing.T) {
	var log lines
	opt := options(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	opt.Initer, opt.Config = session.FileIniter(), session.FileConfig{RootDir: t.TempDir()}
	b := exampletest.NewBrowser(t, exampletest.Serve(t, newApp(exampletest.Open(t, opt, sessiontest.NewClock()))))
	b.Post("/signin", url.Values{"name": {"ann"}})
	log.take()
	assert.Equal(t, "Hello ann", b.Get("/").Body)
	text := log.take()
	assert.Contains(t, text, `"took":`)
	all := parse(t, text)
	require.Len(t, all, 2, text)
	assert.Equal(t, []string{"session store_call", "session loaded"}, []string{all[0].Msg, all[1].Msg})
	assert.Equal(t, "load", all[0].Op)
	assert.Equal(t, "DEBUG", all[0].Level)
	assert.Equal(t, "DEBUG", all[1].Level)
}

// The levels of what this test cannot make happen.
func TestLevels(t *testing.T) {
	for kind, want := range map[session.EventKind]slog.Level{
		session.Rotated: slog.LevelInfo, session.Renewed: slog.LevelInfo, session.Evicted: slog.LevelInfo,
		session.Undecodable: slog.LevelError, session.StoreError: slog.LevelError, session.Conflict: slog.LevelDebug,
	} {
		assert.Equal(t, want, level(kind), kind.String())
	}
}
