package sessiontest

import (
	"sync"
	"time"
)

// clock is the time of a fleet in one process. It starts at the real time and
// only goes forward, so that storage systems which expire records by their own
// clock agree with it or are late, never early.
type clock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}
