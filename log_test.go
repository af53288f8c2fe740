package session_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

// TestLogOfAnOutage has the default log say once a minute that the store is down, and how many
// requests have failed. What somebody has to do something about it says each time.
func TestLogOfAnOutage(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	now := time.Now()
	a := newApp(t, func(o *session.Options) {
		o.ErrorFunc = nil
		hook.SetClock(o, func() time.Time { return now })
	})
	a.Get("/set", func(s session.Session) { s.Set("k", func() {}) })
	a.Get("/get", func(s session.Session) { s.Get("k") })
	a.Get("/new", func(s session.Session) { s.Set("k", 1) })
	_, id := a.get("/new", "")
	lines := func(visits int) string {
		log.Reset()
		for range visits {
			a.get("/get", id)
		}
		return log.String()
	}
	a.b.failReads.Store(true)
	assert.Equal(t, 1, strings.Count(lines(20), "the store is down"))
	assert.Empty(t, lines(20))
	now = now.Add(time.Minute)
	assert.Contains(t, lines(20), "(and 39 more since the last report)")

	a.b.failReads.Store(false)
	log.Reset()
	for range 3 {
		a.get("/set", "")
	}
	assert.Equal(t, 3, strings.Count(log.String(), "session middleware"), "an error of the application")
}
