// Package memstore is the engine for sessions in this process. It keeps Go values as
// they are; those that nobody can tell from a copy, as bytes.
package memstore

import (
	"context"
	"hash/maphash"
	"iter"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/codec"
	"github.com/flamego/session/internal/txn"
)

const shardCount = 256 // A power of two.

// Engine implements txn.Engine. Its views are immutable: *packed if the values can be,
// otherwise *txn.Values.
type Engine struct {
	seed   maphash.Seed
	shards [shardCount]shard
}

// New returns an engine without sessions.
func New() *Engine {
	e := &Engine{seed: maphash.MakeSeed()}
	for i := range e.shards {
		sh := &e.shards[i]
		sh.seed, sh.index, sh.values = e.seed, make(map[uint64]place), make(map[uint64]*txn.Values)
	}
	return e
}

// Traits implements txn.Engine.
func (e *Engine) Traits() txn.Traits { return txn.Traits{Local: true, OwnRecords: true} }

// MovesInOneStep implements driver.OneStepMover.
func (e *Engine) MovesInOneStep() bool { return true }

// Valid implements txn.Engine.
func (e *Engine) Valid(id string, least int) bool { return txn.IsID(id, least) }

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
func (e *Engine) Load(_ context.Context, id string) (*txn.Version, error) {
	sh, k := e.shard(id)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	p, row, ok := sh.lookup(k)
	if !ok {
		return nil, driver.ErrNotFound
	}
	return version(id, sh.view(k, p, row), time.Unix(0, expiryOf(row))), nil
}

func version(id string, v txn.View, expiry time.Time) *txn.Version {
	p, ok := v.(*packed)
	if !ok || p.in.View != nil { // It is in another version already.
		return &txn.Version{ID: id, View: v, Record: driver.Record{Expiry: expiry}}
	}
	p.in.ID, p.in.View, p.in.Record.Expiry = id, v, expiry
	return &p.in
}

// next returns what follows a View, which is nil for a new session.
func next(old txn.View, ch *txn.Changes) txn.View {
	p, _ := old.(*packed)
	if old == nil || p != nil {
		if next := p.with(ch); next != nil {
			return next
		}
	}
	vals := ch.Apply(valuesOf(old))
	if p := pack(vals); p != nil {
		return p
	}
	return vals
}

func valuesOf(v txn.View) *txn.Values {
	if p, ok := v.(*packed); ok {
		return p.Values()
	}
	vals, _ := v.(*txn.Values)
	return vals
}

// Create implements txn.Engine.
func (e *Engine) Create(_ context.Context, id string, ch *txn.Changes, expiry time.Time) (*txn.Version, error) {
	v := next(nil, ch)
	sh, k := e.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.has(k) {
		return nil, driver.ErrExists
	}
	sh.put(k, place{}, nil, v, expiry)
	return version(id, v, expiry), nil
}

// Replace implements txn.Engine.
func (e *Engine) Replace(_ context.Context, old *txn.Version, ch *txn.Changes, expiry time.Time) (*txn.Version, error) {
	v := next(old.View, ch)
	sh, k := e.shard(old.ID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	p, row, ok := sh.find(k, old)
	if !ok {
		return nil, driver.ErrConflict
	}
	sh.put(k, p, row, v, expiry)
	return version(old.ID, v, expiry), nil
}

// Move implements txn.Engine.
func (e *Engine) Move(_ context.Context, old *txn.Version, newID string, ch *txn.Changes, expiry time.Time) (*txn.Version, error) {
	v := next(old.View, ch)
	from, k := e.shard(old.ID)
	to, newKey := e.shard(newID)
	unlock := e.lockBoth(from, to)
	defer unlock()
	if _, _, ok := from.find(k, old); !ok {
		return nil, driver.ErrConflict
	}
	if to.has(newKey) {
		return nil, driver.ErrExists
	}
	from.drop(k.hash)
	to.put(newKey, place{}, nil, v, expiry)
	return version(newID, v, expiry), nil
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
func (e *Engine) Extend(_ context.Context, old *txn.Version, expiry time.Time) (*txn.Version, error) {
	sh, k := e.shard(old.ID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	_, row, ok := sh.find(k, old)
	if !ok {
		return nil, driver.ErrConflict
	}
	setExpiry(row, expiry)
	return version(old.ID, old.View, expiry), nil
}

// Delete implements txn.Engine.
func (e *Engine) Delete(_ context.Context, id string) error {
	sh, k := e.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if _, _, ok := sh.lookup(k); ok {
		sh.drop(k.hash)
	}
	return nil
}

// Sweep goes through all shards once, in steps that hold a lock for a fraction of a
// millisecond. It deletes everything that has expired, so it returns 0.
func (e *Engine) Sweep(ctx context.Context, now time.Time, _ int) (int, error) {
	at := now.UnixNano()
	for i := range e.shards {
		sh := &e.shards[i]
		for c, more := (cursor{}), true; more; {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			c, more = sh.sweep(c, at)
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

// IDs implements driver.Lister.
func (e *Engine) IDs(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for i := range e.shards {
			if err := ctx.Err(); err != nil {
				yield("", err)
				return
			}
			for _, id := range e.shards[i].ids() {
				if !yield(id, nil) {
					return
				}
			}
		}
	}
}

// Encode implements txn.Engine.
func (e *Engine) Encode(v txn.View, ch *txn.Changes) ([]byte, error) {
	return codec.Gob.Marshal(ch.Apply(valuesOf(v)))
}
