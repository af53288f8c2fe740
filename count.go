package session

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Counter is a Backend that knows how many sessions are alive. It is optional: it
// is what Manager.Count needs. A Store of your own may have the method, too.
type Counter interface {
	// Count returns how many records have an expiry after now, swept or not. It may
	// be called concurrently, and gives up with an error when the context ends. A
	// backend that cannot afford to look every time may return what it found a
	// moment ago; it then says in its documentation how long ago that may be.
	Count(ctx context.Context, now time.Time) (int, error)
}

// Count returns the number of live sessions in the store, those of other servers
// included: how many people are online, as far as they have a session. Expired
// ones do not count, also before they are swept.
//
// It is exact on the memory, on files, SQLite, PostgreSQL, MySQL and MongoDB, and
// reads an index there, or the times of all sessions: fine for a page that an
// administrator looks at, too much for every page of a busy site. On Redis the
// keys are read, and the number then is kept in Redis for all servers; it is up to
// 10 seconds old, or fifty times as long as the reading took.
//
// It waits as long as the context allows; Options.StoreTimeout does not bound it.
// A Store that is no Counter gives an error that is errors.ErrUnsupported. Count
// may be called concurrently.
func (m *Manager) Count(ctx context.Context) (int, error) {
	var keeper any = m.store.engine
	switch e := keeper.(type) {
	case *recordEngine:
		keeper = e.backend
	case *foreignEngine:
		keeper = e.Store
	}
	c, ok := keeper.(Counter)
	if !ok {
		return 0, fmt.Errorf("session: count: %w: %T has no method Count: add it, as session.Counter says", errors.ErrUnsupported, keeper)
	}
	n, err := c.Count(ctx, m.store.now())
	if err != nil {
		return 0, fmt.Errorf("session: count: %w", err)
	}
	return n, nil
}

var (
	_ Counter = (*memory)(nil)
	_ Counter = (*fileBackend)(nil)
)

// Count implements Counter. It goes through the shards as a sweep does, but beside
// those who read.
func (m *memory) Count(ctx context.Context, now time.Time) (int, error) {
	n, at := 0, now.UnixNano()
	for i := range m.shards {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n += m.shards[i].count(at)
	}
	return n, nil
}
