package main

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/flamego/session"
	"github.com/flamego/session/driver"
)

// table is the Backend that is measured: yours, and here a map.
type table struct {
	mu      sync.Mutex
	records map[string]session.Record
}

var (
	_ session.Backend    = (*table)(nil)
	_ session.ManyLoader = (*table)(nil)
	_ session.Counter    = (*table)(nil)
	_ session.Lister     = (*table)(nil)
)

func newTable() *table { return &table{records: make(map[string]session.Record)} }

func (t *table) Load(ctx context.Context, id string) (session.Record, error) {
	found, err := t.LoadMany(ctx, []string{id})
	r, ok := found[id]
	if err == nil && !ok {
		err = session.ErrNotFound
	}
	return r, err
}

func (t *table) LoadMany(ctx context.Context, ids []string) (map[string]session.Record, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	found := make(map[string]session.Record)
	for _, id := range ids {
		if r, ok := t.records[id]; ok {
			found[id] = clone(r)
		}
	}
	return found, ctx.Err()
}

func (t *table) Create(ctx context.Context, id string, r session.Record) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, taken := t.records[id]; taken {
		return session.ErrExists
	}
	return t.put(ctx, id, r)
}

func (t *table) Replace(ctx context.Context, id string, old, r session.Record) error {
	return t.Move(ctx, id, id, old, r)
}

func (t *table) Move(ctx context.Context, id, newID string, old, r session.Record) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.unchanged(id, old); err != nil {
		return err
	}
	if _, taken := t.records[newID]; taken && newID != id {
		return session.ErrExists
	}
	if err := t.put(ctx, newID, r); err != nil || newID == id {
		return err
	}
	delete(t.records, id)
	return nil
}

func (t *table) Touch(ctx context.Context, id string, old session.Record, expiry time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.unchanged(id, old); err != nil {
		return err
	}
	return t.put(ctx, id, session.Record{Data: old.Data, Expiry: expiry})
}

func (t *table) Delete(ctx context.Context, id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	delete(t.records, id)
	return nil
}

func (t *table) DeleteExpired(ctx context.Context, now time.Time, limit int) (n int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	for id, r := range t.records {
		if n < limit && !r.Expiry.After(now) {
			delete(t.records, id)
			n++
		}
	}
	return n, nil
}

func (t *table) Count(ctx context.Context, now time.Time) (n int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, r := range t.records {
		if r.Expiry.After(now) && !driver.OwnID(id) {
			n++
		}
	}
	return n, ctx.Err()
}

func (t *table) IDs(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		t.mu.Lock()
		ids := slices.Collect(maps.Keys(t.records))
		t.mu.Unlock()
		for _, id := range ids {
			if err := ctx.Err(); !yield(id, err) || err != nil {
				return
			}
		}
	}
}

// put and unchanged are called with the lock held.
func (t *table) put(ctx context.Context, id string, r session.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.records[id] = clone(r)
	return nil
}

func (t *table) unchanged(id string, old session.Record) error {
	if r, ok := t.records[id]; !ok || !bytes.Equal(r.Data, old.Data) {
		return session.ErrConflict
	}
	return nil
}

func clone(r session.Record) session.Record {
	return session.Record{Data: bytes.Clone(r.Data), Expiry: r.Expiry}
}
