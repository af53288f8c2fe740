package recordstore

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/yield"
)

// patience is how long a load waits for others, at most, before it is on its way. Usually
// one of them returns much earlier.
const patience = 5 * time.Millisecond

// sharing lets loads of concurrent requests share round trips. As many trips as there are
// processors may be under way. Loads beyond that wait for the next one to return, and then
// go together: the busier the server, the more it loads at a time, at the cost of one
// round trip.
type sharing struct {
	backend driver.LoadSharer
	most    int    // how many round trips may be under way before others wait
	yield   func() // lets other requests run

	mu        sync.Mutex
	trips     int    // under way, or about to start
	gathering bool   // one is about to start, and takes those that wait along
	next      *batch // those that wait, or nil
}

func newSharing(b driver.LoadSharer) *sharing {
	return &sharing{backend: b, most: max(2, runtime.GOMAXPROCS(0)), yield: new(yield.Yield).Do}
}

// batch is what one round trip asks for.
type batch struct {
	ids   []string
	timer *time.Timer
	done  chan struct{}            // closed when the answer is there
	found map[string]driver.Record // nil if there was none

	// One of those that wait makes the round trip, and not a goroutine of its own, which
	// would first have to grow its stack.
	waiting int
	turn    chan struct{} // tells one of them
	called  bool          // it is their turn
	taken   bool          // one of them has heard it
}

// load returns a record as it was at some time after load was called: it joins no round
// trip that is already under way.
func (s *sharing) load(ctx context.Context, id string) (driver.Record, error) {
	b := s.join(id)
	if b == nil {
		if b = s.gather(id); b == nil {
			defer s.leave()
			return s.backend.Load(ctx, id)
		}
		s.run(ctx, b)
	} else if err := s.wait(ctx, b); err != nil {
		return driver.Record{}, fmt.Errorf("wait for other loads: %w", err)
	}
	if r, ok := b.found[id]; ok {
		return r, nil
	}
	// Load says why. The batch may have failed for another request, or its record.
	return s.backend.Load(ctx, id)
}

// join returns the batch that a load waits in, or nil if a round trip starts with it.
func (s *sharing) join(id string) *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.gathering && s.trips < s.most {
		s.trips++
		s.gathering = true
		return nil
	}
	b := s.next
	if b == nil {
		b = &batch{done: make(chan struct{}), turn: make(chan struct{}, 1)}
		b.timer = time.AfterFunc(patience, func() { s.hurry(b) })
		s.next = b
	}
	b.ids = append(b.ids, id)
	b.waiting++
	return b
}

// gather takes those along that wait, and returns nil if there are none. The requests
// that could run, but have not had the processor, come first: some of them will load a
// session as well.
func (s *sharing) gather(id string) *batch {
	s.yield()
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.next
	s.gathering, s.next = false, nil
	if b != nil {
		b.timer.Stop()
		b.ids = append(b.ids, id)
	}
	return b
}

// wait returns when there is an answer, or none is to be had.
func (s *sharing) wait(ctx context.Context, b *batch) error {
	select {
	case <-b.done:
		return nil
	case <-b.turn:
		if s.take(b) {
			s.yield() // As in gather.
			s.depart(b)
		}
		s.run(ctx, b)
		return nil
	case <-ctx.Done():
		s.giveUp(b)
		return ctx.Err()
	}
}

// take reports whether others may still join.
func (s *sharing) take(b *batch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.taken = true
	return s.next == b
}

// depart ends the time in which others may join.
func (s *sharing) depart(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detach(b)
}

func (s *sharing) detach(b *batch) {
	if s.next == b {
		s.gathering, s.next = s.gathering && !b.called, nil
	}
}

// giveUp is called by a load that waits no longer. If it was the last one, nobody would
// hear that it is their turn.
func (s *sharing) giveUp(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.waiting--; b.waiting > 0 || b.taken {
		return
	}
	b.timer.Stop()
	s.detach(b)
	if b.called {
		s.end()
	}
}

// leave is called when a round trip has ended. The batch that waits takes its place.
func (s *sharing) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
}

func (s *sharing) end() {
	if s.next == nil || s.gathering || s.trips > s.most {
		s.trips--
		return
	}
	s.gathering = true
	s.call(s.next)
}

func (s *sharing) call(b *batch) {
	b.called = true
	b.timer.Stop()
	b.turn <- struct{}{}
}

// hurry starts a batch although no round trip has ended: a connection may hang.
func (s *sharing) hurry(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == b && !b.called {
		s.next = nil
		s.trips++
		s.call(b)
	}
}

func (s *sharing) run(ctx context.Context, b *batch) {
	defer s.leave()
	defer close(b.done)
	if found, err := s.backend.LoadMany(ctx, b.ids); err == nil {
		b.found = found
	}
}
