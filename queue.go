package session

import (
	"context"
	"hash/maphash"
	"math/rand/v2"
	"time"
)

// queues make requests of this process that change the same session wait for
// each other, instead of failing each other's compare-and-swap again and again.
// Sessions share a queue now and then; that costs time, never correctness.
type queues [64]chan struct{}

var queueSeed = maphash.MakeSeed()

func (q *queues) init() {
	for i := range q {
		q[i] = make(chan struct{}, 1)
	}
}

// enter waits for the turn of a session, or for the end of the context.
func (q *queues) enter(ctx context.Context, id string) (leave func(), err error) {
	turn := q[maphash.String(queueSeed, id)%uint64(len(q))]
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
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
