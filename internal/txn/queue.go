package txn

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Queues serialize the commits in this process that change the same session, so that
// they do not make each other's compare-and-swap fail again and again.
type Queues struct {
	mu    sync.Mutex
	lines map[string]*line // of the sessions with a turn held or waited for
}

type line struct {
	turn  chan struct{}
	heads int // how many hold it or wait for it
}

// Enter waits for a turn at the session, or for the end of the context.
func (q *Queues) Enter(ctx context.Context, id string) (leave func(), err error) {
	q.mu.Lock()
	l := q.lines[id]
	if l == nil {
		if q.lines == nil {
			q.lines = make(map[string]*line)
		}
		l = &line{turn: make(chan struct{}, 1)}
		q.lines[id] = l
	}
	l.heads++
	q.mu.Unlock()

	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn; q.drop(id, l) }, nil
	case <-ctx.Done():
		q.drop(id, l)
		return nil, ctx.Err()
	}
}

func (q *Queues) drop(id string, l *line) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l.heads--; l.heads == 0 {
		delete(q.lines, id)
	}
}

// Pause waits for a random time before the given retry, up to 20 ms, so that processes
// do not retry in step.
func Pause(ctx context.Context, retry int) error {
	most := min(200*time.Microsecond<<min(retry, 10), 20*time.Millisecond)
	return Wait(ctx, rand.N(most))
}

// Wait waits, unless the context ends first.
func Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// turn is a place in the queue of a session, taken at the first conflict.
type turn struct {
	leave func()
	tries int
}

func (t *turn) wait(ctx context.Context, s *Store, id string) (err error) {
	if t.leave == nil {
		t.leave, err = s.queues.Enter(ctx, id)
	} else {
		err = Pause(ctx, t.tries)
	}
	t.tries++
	return err
}

// next waits for the turn and returns the latest version.
func (t *turn) next(ctx context.Context, s *Store, id string) (*Version, error) {
	if err := t.wait(ctx, s, id); err != nil {
		return nil, err
	}
	return s.Find(ctx, id)
}

func (t *turn) end() {
	if t.leave != nil {
		t.leave()
	}
}
