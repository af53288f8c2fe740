// Package memstore is the engine for sessions in this process. It keeps Go values as
// they are.
package memstore

import (
	"context"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/codec"
	"github.com/flamego/session/internal/txn"
)

const shardCount = 256 // A power of two.

// Engine implements txn.Engine. A record is a pointer to immutable values, so
// compare-and-swap compares pointers.
type Engine struct {
	seed   maphash.Seed
	shards [shardCount]shard
}

// New returns an engine without sessions.
func New() *Engine {
	e := &Engine{seed: maphash.MakeSeed()}
	for i := range e.shards {
		e.shards[i].index = make(map[uint64]uint32)
	}
	return e
}

// Traits implements txn.Engine.
func (e *Engine) Traits() txn.Traits { return txn.Traits{Local: true, OwnRecords: true} }

// Valid implements txn.Engine.
func (e *Engine) Valid(id string, least int) bool { return len(id) >= least && driver.ValidID(id) }

// key is an ID and a hash of it that nobody outside can know.
type key struct {
	id   string
	hash uint64
}

func (e *Engine) shard(id string) (*shard, key) {
	k := key{id, maphash.String(e.seed, id)}
	return &e.shards[k.hash%shardCount], k
}

// Load implements txn.Engine.
func (e *Engine) Load(_ context.Context, id string) (txn.Version, error) {
	sh, k := e.shard(id)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	i, ok := sh.at(k)
	if !ok {
		return txn.Version{}, driver.ErrNotFound
	}
	expiry := time.Unix(0, atomic.LoadInt64(&sh.expiry[i]))
	return txn.Version{ID: id, View: sh.vals[i], Record: driver.Record{Expiry: expiry}}, nil
}

// Create implements txn.Engine.
func (e *Engine) Create(_ context.Context, id string, ch *txn.Changes, expiry time.Time) (txn.Version, error) {
	v, vals := (&txn.Version{}).Next(ch, id, expiry)
	sh, k := e.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.has(k) {
		return txn.Version{}, driver.ErrExists
	}
	sh.add(k, vals, expiry)
	return v, nil
}

// Replace implements txn.Engine.
func (e *Engine) Replace(_ context.Context, old txn.Version, ch *txn.Changes, expiry time.Time) (txn.Version, error) {
	v, vals := old.Next(ch, old.ID, expiry)
	sh, k := e.shard(old.ID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i, ok := sh.find(k, old)
	if !ok {
		return txn.Version{}, driver.ErrConflict
	}
	sh.vals[i], sh.expiry[i] = vals, expiry.UnixNano()
	return v, nil
}

// Move implements txn.Engine.
func (e *Engine) Move(_ context.Context, old txn.Version, newID string, ch *txn.Changes, expiry time.Time) (txn.Version, error) {
	v, vals := old.Next(ch, newID, expiry)
	from, k := e.shard(old.ID)
	to, newKey := e.shard(newID)
	unlock := e.lockBoth(from, to)
	defer unlock()
	i, ok := from.find(k, old)
	if !ok {
		return txn.Version{}, driver.ErrConflict
	}
	if to.has(newKey) {
		return txn.Version{}, driver.ErrExists
	}
	from.drop(i)
	to.add(newKey, vals, expiry)
	return v, nil
}

// lockBoth takes two locks in the order of the shards, so that two moves cannot
// deadlock.
func (e *Engine) lockBoth(a, b *shard) (unlock func()) {
	if a == b {
		a.mu.Lock()
		return a.mu.Unlock
	}
	for i := range e.shards {
		if sh := &e.shards[i]; sh == a || sh == b {
			sh.mu.Lock()
		}
	}
	return func() { a.mu.Unlock(); b.mu.Unlock() }
}

// Extend implements txn.Engine.
func (e *Engine) Extend(_ context.Context, old txn.Version, expiry time.Time) (txn.Version, error) {
	sh, k := e.shard(old.ID)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	i, ok := sh.find(k, old)
	if !ok {
		return txn.Version{}, driver.ErrConflict
	}
	atomic.StoreInt64(&sh.expiry[i], expiry.UnixNano())
	next := old
	next.Record.Expiry = expiry
	return next, nil
}

// Delete implements txn.Engine.
func (e *Engine) Delete(_ context.Context, id string) error {
	sh, k := e.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if i, ok := sh.at(k); ok {
		sh.drop(i)
	}
	return nil
}

// Sweep goes through all shards once, in steps that hold a lock for a fraction of a
// millisecond. It deletes everything that has expired, so it returns 0.
func (e *Engine) Sweep(ctx context.Context, now time.Time, _ int) (int, error) {
	at := now.UnixNano()
	for i := range e.shards {
		for sh, more := &e.shards[i], true; more; {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			more = sh.sweep(at)
		}
	}
	return 0, nil
}

// Count implements driver.Counter. It goes through the shards as Sweep does, but does not
// block readers.
func (e *Engine) Count(ctx context.Context, now time.Time) (int, error) {
	n, at := 0, now.UnixNano()
	for i := range e.shards {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n += e.shards[i].count(at)
	}
	return n, nil
}

// Encode implements txn.Engine.
func (e *Engine) Encode(v txn.View, ch *txn.Changes) ([]byte, error) {
	old := txn.Version{View: v}
	_, vals := old.Next(ch, "", time.Time{})
	return codec.Gob.Marshal(vals)
}
