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
		if b = s.gather(id); b == nil {
			defer s.leave()
			return s.backend.Load(ctx, id)
		}
		go s.run(b)
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

// join returns the batch that a load is in, or nil if a round trip starts with it.
func (s *sharing) join(ctx context.Context, id string) *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.gathering && s.trips < s.most {
		s.trips++
		s.gathering = true
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

// gather ends the wait of a batch, and adds more IDs. It returns nil if nobody waits. The
// requests that could run, but have not had the processor, come first: some of them will
// load a session as well.
func (s *sharing) gather(more ...string) *batch {
	s.yield()
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.next
	s.gathering, s.next = false, nil
	if b != nil {
		b.timer.Stop()
		b.ids = append(b.ids, more...)
	}
	return b
}

// leave is called when a round trip has ended. The batch that waits takes its place.
func (s *sharing) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil || s.gathering || s.trips > s.most {
		s.trips--
		return
	}
	s.gathering = true
	go func() {
		if b := s.gather(); b != nil {
			s.run(b)
		} else {
			s.leave() // It did not want to wait any longer: see hurry.
		}
	}()
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
