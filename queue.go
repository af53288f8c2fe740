package session

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// queues make requests of this process that change the same session wait for
// each other, instead of failing each other's compare-and-swap again and again.
type queues struct {
	mu    sync.Mutex
	lines map[string]*line // of the sessions that somebody waits for, or is at
}

type line struct {
	turn  chan struct{}
	heads int // how many hold it or wait for it
}

// enter waits for the turn of a session, or for the end of the context.
func (q *queues) enter(ctx context.Context, id string) (leave func(), err error) {
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

func (q *queues) drop(id string, l *line) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l.heads--; l.heads == 0 {
		delete(q.lines, id)
	}
}

// pause waits a random time before the given retry, up to 20 ms, so that other
// processes do not come back in step.
func pause(ctx context.Context, retry int) error {
	most := min(200*time.Microsecond<<min(retry, 10), 20*time.Millisecond)
	return wait(ctx, rand.N(most))
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
