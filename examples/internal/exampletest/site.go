package exampletest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

// Clock is the clock of a program that runs within its test. It starts at the real time,
// and only Advance moves it. It may be used concurrently.
type Clock struct {
	start time.Time
	off   atomic.Int64
}

// NewClock returns a new clock.
func NewClock() *Clock { return &Clock{start: time.Now()} }

// Now returns the current time.
func (c *Clock) Now() time.Time { return c.start.Add(time.Duration(c.off.Load())) }

// Advance lets time go by.
func (c *Clock) Advance(d time.Duration) { c.off.Add(int64(d)) }

// Open is session.NewManager with a clock. The Manager is closed at the end of the
// test.
func Open(t *testing.T, opt session.Options, c *Clock) *session.Manager {
	t.Helper()
	hook.SetClock(&opt, c.Now)
	m, err := session.NewManager(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m
}

// Serve serves a program on a port until the end of the test, and returns its URL.
func Serve(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}
