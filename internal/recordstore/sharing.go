package recordstore

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/flamego/session/driver"
)

// patience is how long a load waits for others, at most, before it is on its way. Usually
// one of them returns much earlier.
const patience = 5 * time.Millisecond

// sharing lets loads of concurrent requests share round trips. As many as there are
// processors go by themselves. Those beyond that wait for the next one to return, and then
// go together: the busier the server, the more it loads at a time, at the cost of one
// round trip.
type sharing struct {
	backend driver.LoadSharer
	alone   int // how many round trips may be under way before others wait

	mu    sync.Mutex
	trips int    // under way
	next  *batch // of those that wait, or nil
}

func newSharing(b driver.LoadSharer) *sharing {
	return &sharing{backend: b, alone: max(2, runtime.GOMAXPROCS(0))}
}

// batch is what one round trip asks for.
type batch struct {
	ctx   context.Context // of the first load
	ids   []string
	timer *time.Timer
	done  chan struct{}            // closed when the answer is there
	found map[string]driver.Record // nil if there was none
}

// load returns a record as it was at some time after load was called: it joins no round
// trip that is already under way.
func (s *sharing) load(ctx context.Context, id string) (driver.Record, error) {
	b := s.join(ctx, id)
	if b == nil {
		defer s.leave()
		return s.backend.Load(ctx, id)
	}
	select {
	case <-b.done:
	case <-ctx.Done():
		return driver.Record{}, fmt.Errorf("wait for other loads: %w", ctx.Err())
	}
	if r, ok := b.found[id]; ok {
		return r, nil
	}
	// Load says why. The batch may have failed for the record of another request.
	return s.backend.Load(ctx, id)
}

// join returns nil if the load may go by itself, or the batch that it is in.
func (s *sharing) join(ctx context.Context, id string) *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trips < s.alone {
		s.trips++
		return nil
	}
	b := s.next
	if b == nil {
		b = &batch{ctx: ctx, done: make(chan struct{})}
		b.timer = time.AfterFunc(patience, func() { s.hurry(b) })
		s.next = b
	}
	b.ids = append(b.ids, id)
	return b
}

// leave is called when a round trip has ended. The batch that waits takes its place.
func (s *sharing) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.next
	if b == nil || s.trips > s.alone {
		s.trips--
		return
	}
	s.next = nil
	b.timer.Stop()
	go s.run(b)
}

// hurry starts a batch although no round trip has ended: a connection may hang.
func (s *sharing) hurry(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == b {
		s.next = nil
		s.trips++
		go s.run(b)
	}
}

func (s *sharing) run(b *batch) {
	defer s.leave()
	defer close(b.done)
	defer func() { _ = recover() }()    // Nobody else would. If Load panics as well, that is in a request.
	ctx := context.WithoutCancel(b.ctx) // The first may give up, the others go on.
	if end, ok := b.ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end)
		defer cancel()
	}
	if found, err := s.backend.LoadMany(ctx, b.ids); err == nil {
		b.found = found
	}
}
