package session_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flamego/session"
	"github.com/flamego/session/driver"
	"github.com/flamego/session/driver/drivertest"
)

// mapBackend is a minimal Backend, as the guide on writing one shows it.
type mapBackend struct {
	mu      sync.Mutex
	records map[string]session.Record
}

func newMapBackend() *mapBackend {
	return &mapBackend{records: make(map[string]session.Record)}
}

func (b *mapBackend) Load(ctx context.Context, id string) (session.Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return session.Record{}, err
	}
	r, ok := b.records[id]
	if !ok {
		return session.Record{}, session.ErrNotFound
	}
	return session.Record{Data: bytes.Clone(r.Data), Expiry: r.Expiry}, nil
}

func (b *mapBackend) Create(ctx context.Context, id string, r session.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, ok := b.records[id]; ok {
		return session.ErrExists
	}
	b.records[id] = session.Record{Data: bytes.Clone(r.Data), Expiry: r.Expiry}
	return nil
}

func (b *mapBackend) Replace(ctx context.Context, id string, old, r session.Record) error {
	return b.Move(ctx, id, id, old, r)
}

func (b *mapBackend) Move(ctx context.Context, id, newID string, old, r session.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if now, ok := b.records[id]; !ok || !bytes.Equal(now.Data, old.Data) {
		return session.ErrConflict
	}
	if _, ok := b.records[newID]; ok && newID != id {
		return session.ErrExists
	}
	delete(b.records, id)
	b.records[newID] = session.Record{Data: bytes.Clone(r.Data), Expiry: r.Expiry}
	return nil
}

func (b *mapBackend) MovesInOneStep() bool { return true }

func (b *mapBackend) Touch(ctx context.Context, id string, old session.Record, expiry time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	r, ok := b.records[id]
	if !ok || !bytes.Equal(r.Data, old.Data) {
		return session.ErrConflict
	}
	r.Expiry = expiry
	b.records[id] = r
	return nil
}

// expire gives a record another expiry, behind the library's back.
func (b *mapBackend) expire(id string, expiry time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.records[id]
	r.Expiry = expiry
	b.records[id] = r
}

func (b *mapBackend) Delete(ctx context.Context, id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	delete(b.records, id)
	return nil
}

func (b *mapBackend) DeleteExpired(ctx context.Context, now time.Time, limit int) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	for id, r := range b.records {
		if n < limit && !r.Expiry.After(now) {
			delete(b.records, id)
			n++
		}
	}
	return n, nil
}

func (b *mapBackend) Count(ctx context.Context, now time.Time) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, r := range b.records {
		if r.Expiry.After(now) && !driver.OwnID(id) {
			n++
		}
	}
	return n, ctx.Err()
}

func (b *mapBackend) IDs(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		b.mu.Lock()
		ids := slices.Collect(maps.Keys(b.records))
		b.mu.Unlock()
		for _, id := range ids {
			if err := ctx.Err(); !yield(id, err) || err != nil {
				return
			}
		}
	}
}

// faultyBackend counts calls, fails on demand, and lets a test meddle with them.
type faultyBackend struct {
	*mapBackend
	calls     atomic.Int64
	failReads atomic.Bool
	fail      atomic.Bool // writes
	asked     atomic.Value
	around    func(ctx context.Context, method, id string, do func() error) error // nil for do
}

func newFaultyBackend() *faultyBackend { return &faultyBackend{mapBackend: newMapBackend()} }

// next has fn make the next call of a method, or of one of several.
func (b *faultyBackend) next(methods string, fn func(ctx context.Context, do func() error) error) {
	b.around = func(ctx context.Context, method, _ string, do func() error) error {
		if !strings.Contains(methods, method) {
			return do()
		}
		b.around = nil
		return fn(ctx, do)
	}
}

// before calls fn in the middle of the next call of a method, or of one of several.
func (b *faultyBackend) before(methods string, fn func()) {
	b.next(methods, func(_ context.Context, do func() error) error {
		fn()
		return do()
	})
}

// seen returns the ID that was last asked for, and forgets it for another.
func (b *faultyBackend) seen(next string) string {
	last, _ := b.asked.Swap(next).(string)
	return last
}

// clear removes all records.
func (b *faultyBackend) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.records)
}

var errDown = fmt.Errorf("the store is down: %w", session.ErrUnavailable)

func (b *faultyBackend) call(ctx context.Context, method, id string, fail *atomic.Bool, do func() error) error {
	b.calls.Add(1)
	switch {
	case fail.Load():
		return errDown
	case b.around != nil:
		return b.around(ctx, method, id, do)
	}
	return do()
}

func (b *faultyBackend) Load(ctx context.Context, id string) (r session.Record, err error) {
	b.asked.Store(id)
	err = b.call(ctx, "Load", id, &b.failReads, func() (err error) {
		r, err = b.mapBackend.Load(ctx, id)
		return err
	})
	return r, err
}

func (b *faultyBackend) Create(ctx context.Context, id string, r session.Record) error {
	return b.call(ctx, "Create", id, &b.fail, func() error { return b.mapBackend.Create(ctx, id, r) })
}

func (b *faultyBackend) Replace(ctx context.Context, id string, old, r session.Record) error {
	return b.call(ctx, "Replace", id, &b.fail, func() error { return b.mapBackend.Replace(ctx, id, old, r) })
}

func (b *faultyBackend) Move(ctx context.Context, id, newID string, old, r session.Record) error {
	return b.call(ctx, "Move", id, &b.fail, func() error { return b.mapBackend.Move(ctx, id, newID, old, r) })
}

func (b *faultyBackend) Touch(ctx context.Context, id string, old session.Record, expiry time.Time) error {
	return b.call(ctx, "Touch", id, &b.fail, func() error { return b.mapBackend.Touch(ctx, id, old, expiry) })
}

func (b *faultyBackend) Delete(ctx context.Context, id string) error {
	return b.call(ctx, "Delete", id, &b.fail, func() error { return b.mapBackend.Delete(ctx, id) })
}

// initer makes an Initer of a backend that exists already.
func initer(b session.Backend, cfg session.StoreConfig) session.Initer {
	open := func(context.Context, session.StoreConfig) (session.Backend, session.StoreConfig, error) {
		return b, cfg, nil
	}
	return func(ctx context.Context, args ...interface{}) (session.Store, error) {
		return session.BackendIniter(open)(ctx, append(args, cfg)...)
	}
}

// TestBackend runs the suite on a Backend as a third party would write it.
func TestBackend(t *testing.T) {
	var b *mapBackend
	drivertest.Suite{
		Open: func(*testing.T) func() session.Options {
			b = newMapBackend()
			return func() session.Options {
				return session.Options{Initer: initer(b, session.StoreConfig{})}
			}
		},
		Corrupt: func(_ *testing.T, id string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.records[id] = session.Record{Data: []byte("garbage"), Expiry: b.records[id].Expiry}
		},
	}.Run(t)
}
