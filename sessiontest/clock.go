package sessiontest

import (
	"sync"
	"time"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

// Clock is the time as Managers under test see it, so that a test need not wait for a session
// to expire. It starts at the real time, and stands still until the test moves it. Several
// Managers may share a Clock. A storage system that removes expired records by itself, as
// Redis and MongoDB do, uses its own clock: if the Clock is behind it, a session may end too
// early, and if the Clock is ahead, Manager.Count still includes sessions that have expired by
// the Clock. Its methods may be called concurrently.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a Clock that shows the real time.
func NewClock() *Clock { return &Clock{now: time.Now()} }

// Options returns opt for a Manager that uses the Clock.
func (c *Clock) Options(opt session.Options) session.Options {
	hook.SetClock(&opt, c.Now)
	return opt
}

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the time forward by d.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Set sets the time.
func (c *Clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}
