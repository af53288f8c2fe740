// Package share makes concurrent calls share round trips.
package share

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/flamego/session/internal/yield"
)

const (
	// patience is how long a call waits for others, at most, before it is on its way.
	// Usually one of them returns much earlier.
	patience = 5 * time.Millisecond
	// size is how many calls a round trip carries: all of them wait for the slowest, and on
	// PostgreSQL they hold their rows until the last one is done.
	size = 100
)

// ErrNoAnswer says that the round trip has ended without an answer to anybody. What was
// asked for may have been done.
var ErrNoAnswer = errors.New("the call with others has no outcome")

// Calls are calls that share round trips. As many trips as there are processors may be
// under way. Calls beyond that wait for the next one to return, and then go together: the
// busier the server, the more it asks at a time, at the cost of one round trip.
type Calls[Q, A any] struct {
	alone    func(context.Context, Q) A
	together func(context.Context, []Q) []A
	most     int    // how many round trips may be under way before others wait
	yield    func() // lets other requests run

	mu        sync.Mutex
	trips     int            // under way, or about to start
	gathering bool           // one is about to start, and takes the first that waits along
	waiting   []*batch[Q, A] // all full but the last
	met       bool           // since there was no trip, calls have met
}

// New returns Calls that are made by one of the functions. together returns an answer to
// each question, or nil if there was none. Its context has the values of one of the callers,
// and a deadline not much earlier than that of any who has one.
func New[Q, A any](alone func(context.Context, Q) A, together func(context.Context, []Q) []A) *Calls[Q, A] {
	return &Calls[Q, A]{alone: alone, together: together, most: max(2, runtime.GOMAXPROCS(0)), yield: new(yield.Yield).Do}
}

// call is one of those in a round trip.
type call[Q, A any] struct {
	question Q
	until    time.Time // the deadline of the one who asks, zero for none
	answer   A
	answered bool
	gone     bool // nobody waits for it any more
}

// batch is one round trip.
type batch[Q, A any] struct {
	calls []*call[Q, A]
	timer *time.Timer
	done  chan struct{} // closed when the answers are there, or none is to be had

	// One of those that wait makes the round trip, and not a goroutine of its own, which
	// would first have to grow its stack.
	waiting int
	turn    chan struct{} // tells one of them
	called  bool          // it is their turn
	taken   bool          // one of them has heard it
}

// Do makes a call, which begins after Do does: it joins no round trip that is already under
// way. The error is the context's, or ErrNoAnswer. If the call has not begun by the end of
// the context, it never does.
func (s *Calls[Q, A]) Do(ctx context.Context, question Q) (answer A, err error) {
	until, _ := ctx.Deadline()
	b, c, alone := s.join(question, until)
	if b == nil {
		if b, c = s.gather(question, until, alone); b == nil {
			defer s.leave()
			return s.alone(ctx, question), nil
		}
		err = s.run(ctx, b)
	} else {
		err = s.wait(ctx, b, c)
	}
	if err != nil {
		return answer, err
	}
	if !c.answered {
		return answer, ErrNoAnswer
	}
	return c.answer, nil
}

// join returns the batch that a call waits in, or nil if a round trip starts with it. It
// tells whether that is alone: no others are about, nor were lately.
func (s *Calls[Q, A]) join(question Q, until time.Time) (b *batch[Q, A], c *call[Q, A], alone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	alone = s.trips == 0 && !s.met
	s.met = s.trips > 0
	if !s.gathering && s.trips < s.most {
		s.trips++
		s.gathering = true
		return nil, nil, alone
	}
	if n := len(s.waiting); n > 0 && len(s.waiting[n-1].calls) < size {
		b = s.waiting[n-1]
	} else {
		b = &batch[Q, A]{done: make(chan struct{}), turn: make(chan struct{}, 1)}
		b.timer = time.AfterFunc(patience, func() { s.hurry(b) })
		s.waiting = append(s.waiting, b)
	}
	b.waiting++
	return b, b.add(question, until), false
}

func (b *batch[Q, A]) add(question Q, until time.Time) *call[Q, A] {
	c := &call[Q, A]{question: question, until: until}
	b.calls = append(b.calls, c)
	return c
}

// gather takes those along that wait, and returns nil if there are none. The requests
// that could run, but have not had the processor, come first: some of them will make such
// a call as well. Where there are none, that would wake a processor for nothing.
func (s *Calls[Q, A]) gather(question Q, until time.Time, alone bool) (*batch[Q, A], *call[Q, A]) {
	if !alone {
		s.yield()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gathering = false
	if len(s.waiting) == 0 {
		return nil, nil
	}
	b := s.waiting[0]
	s.waiting = s.waiting[1:]
	b.timer.Stop()
	return b, b.add(question, until)
}

// wait returns when there is an answer, or none is to be had.
func (s *Calls[Q, A]) wait(ctx context.Context, b *batch[Q, A], c *call[Q, A]) error {
	select {
	case <-b.done:
		return nil
	case <-b.turn:
		if err := ctx.Err(); err != nil {
			b.turn <- struct{}{} // It is another one's.
			s.giveUp(b, c)
			return err
		}
		if s.take(b) {
			s.yield() // As in gather.
			s.depart(b)
		}
		return s.run(ctx, b)
	case <-ctx.Done():
		s.giveUp(b, c)
		return ctx.Err()
	}
}

// take reports whether others may still join.
func (s *Calls[Q, A]) take(b *batch[Q, A]) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.taken = true
	return slices.Contains(s.waiting, b)
}

// depart ends the time in which others may join.
func (s *Calls[Q, A]) depart(b *batch[Q, A]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detach(b)
}

func (s *Calls[Q, A]) detach(b *batch[Q, A]) bool {
	i := slices.Index(s.waiting, b)
	if i < 0 {
		return false
	}
	s.waiting = slices.Delete(s.waiting, i, i+1)
	s.gathering = s.gathering && !b.called
	return true
}

// giveUp is called by one who waits no longer. If it was the last one, nobody would hear
// that it is their turn.
func (s *Calls[Q, A]) giveUp(b *batch[Q, A], c *call[Q, A]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.gone = true
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
func (s *Calls[Q, A]) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
}

func (s *Calls[Q, A]) end() {
	if len(s.waiting) == 0 || s.gathering || s.trips > s.most {
		s.trips--
		return
	}
	s.gathering = true
	s.call(s.waiting[0])
}

func (s *Calls[Q, A]) call(b *batch[Q, A]) {
	b.called = true
	b.timer.Stop()
	b.turn <- struct{}{}
}

// hurry starts a batch although no round trip has ended: a connection may hang.
func (s *Calls[Q, A]) hurry(b *batch[Q, A]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !b.called && s.detach(b) {
		s.trips++
		s.call(b)
	}
}

// run makes the round trip of a batch, for as long as one of those in it may wait. If that
// is longer than the caller may, it goes on without the caller.
func (s *Calls[Q, A]) run(ctx context.Context, b *batch[Q, A]) error {
	calls := s.asked(b)
	last := latest(calls)
	own, bounded := ctx.Deadline()
	longEnough := !bounded || last.Sub(own) <= time.Until(last)/16 // A goroutine costs more than that.
	if longEnough {
		s.trip(ctx, b, calls)
		return nil
	}
	longer, cancel := context.WithDeadline(context.WithoutCancel(ctx), last)
	ended := make(chan any, 1)
	go func() {
		defer cancel()
		defer func() { ended <- recover() }()
		s.trip(longer, b, calls)
	}()
	select {
	case p := <-ended:
		if p != nil {
			panic(p)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// latest returns the last of the calls' deadlines. A call without one does not count: the
// trip would never end.
func latest[Q, A any](calls []*call[Q, A]) (last time.Time) {
	for _, c := range calls {
		if c.until.After(last) {
			last = c.until
		}
	}
	return last
}

func (s *Calls[Q, A]) trip(ctx context.Context, b *batch[Q, A], calls []*call[Q, A]) {
	defer s.leave()
	defer close(b.done)
	questions := make([]Q, len(calls))
	for i, c := range calls {
		questions[i] = c.question
	}
	for i, a := range s.together(ctx, questions) {
		calls[i].answer, calls[i].answered = a, true
	}
}

// asked returns the calls that somebody still waits for.
func (s *Calls[Q, A]) asked(b *batch[Q, A]) []*call[Q, A] {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(b.calls, func(c *call[Q, A]) bool { return c.gone })
}
