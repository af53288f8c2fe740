// Package memstore is the engine for sessions in this process. It keeps Go values as
// they are.
package memstore

import (
	"context"
	"hash/maphash"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/codec"
	"github.com/flamego/session/internal/sessionid"
	"github.com/flamego/session/internal/txn"
)

const shardCount = 256 // A power of two.

// Engine implements txn.Engine. Its views are *txn.Values, which do not change, so
// compare-and-swap compares pointers.
type Engine struct {
	seed   maphash.Seed
	shards [shardCount]shard
}

// shard is a part of the sessions with its own lock.
type shard struct {
	mu       sync.RWMutex
	sessions map[string]*stored
	most     int // sessions that there have been since the map was made

	_ [64]byte // A neighbour's lock on the same cache line would slow this one.
}

// stored is one session. The expiry is in Unix nanoseconds, which take less memory than a
// time.Time.
type stored struct {
	values *txn.Values
	expiry int64
}

func (s *stored) version(id string) *txn.Version {
	return &txn.Version{ID: id, View: s.values, Record: driver.Record{Expiry: time.Unix(0, s.expiry)}}
}

// New returns an engine without sessions.
func New() *Engine {
	e := &Engine{seed: maphash.MakeSeed()}
	for i := range e.shards {
		e.shards[i].sessions = make(map[string]*stored)
	}
	return e
}

// Traits implements txn.Engine.
func (e *Engine) Traits() txn.Traits { return txn.Traits{Local: true, OwnRecords: true} }

// MovesInOneStep implements driver.OneStepMover.
func (e *Engine) MovesInOneStep() bool { return true }

// Valid implements txn.Engine.
func (e *Engine) Valid(id string, least int) bool { return sessionid.Valid(id, least) }

func (e *Engine) shard(id string) *shard {
	return &e.shards[maphash.String(e.seed, id)%shardCount]
}

// Load implements txn.Engine.
func (e *Engine) Load(_ context.Context, id string) (*txn.Version, error) {
	sh := e.shard(id)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	s, ok := sh.sessions[id]
	if !ok {
		return nil, driver.ErrNotFound
	}
	return s.version(id), nil
}

func valuesOf(v txn.View) *txn.Values {
	vals, _ := v.(*txn.Values)
	return vals
}

// next returns what follows a View, which is nil for a new session.
func next(old txn.View, ch *txn.Changes, expiry time.Time) *stored {
	return &stored{ch.Apply(valuesOf(old)), expiry.UnixNano()}
}

// Create implements txn.Engine.
func (e *Engine) Create(_ context.Context, id string, ch *txn.Changes, expiry time.Time) (*txn.Version, error) {
	s, sh := next(nil, ch, expiry), e.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if _, ok := sh.sessions[id]; ok {
		return nil, driver.ErrExists
	}
	return sh.add(id, s), nil
}

// Replace implements txn.Engine.
func (e *Engine) Replace(_ context.Context, old *txn.Version, ch *txn.Changes, expiry time.Time) (*txn.Version, error) {
	s, sh := next(old.View, ch, expiry), e.shard(old.ID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	was := sh.same(old)
	if was == nil {
		return nil, driver.ErrConflict
	}
	*was = *s
	return s.version(old.ID), nil
}

// Move implements txn.Engine.
func (e *Engine) Move(_ context.Context, old *txn.Version, newID string, ch *txn.Changes, expiry time.Time) (*txn.Version, error) {
	s := next(old.View, ch, expiry)
	from, to := e.shard(old.ID), e.shard(newID)
	unlock := e.lockBoth(from, to)
	defer unlock()
	if from.same(old) == nil {
		return nil, driver.ErrConflict
	}
	if _, ok := to.sessions[newID]; ok {
		return nil, driver.ErrExists
	}
	delete(from.sessions, old.ID)
	return to.add(newID, s), nil
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

// Touch implements txn.Engine.
func (e *Engine) Touch(_ context.Context, old *txn.Version, expiry time.Time) (*txn.Version, error) {
	sh := e.shard(old.ID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.same(old)
	if s == nil {
		return nil, driver.ErrConflict
	}
	s.expiry = expiry.UnixNano()
	return s.version(old.ID), nil
}

// Delete implements txn.Engine.
func (e *Engine) Delete(_ context.Context, id string) error {
	sh := e.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.sessions, id)
	return nil
}

// same returns what is stored under the ID of a version, or nil if that is another one.
func (sh *shard) same(v *txn.Version) *stored {
	if s, ok := sh.sessions[v.ID]; ok && s.values == v.View {
		return s
	}
	return nil
}

// add stores a session under an ID, which it copies: it may be part of a whole request.
func (sh *shard) add(id string, s *stored) *txn.Version {
	sh.sessions[strings.Clone(id)] = s
	sh.most = max(sh.most, len(sh.sessions))
	return s.version(id)
}

// Sweep goes through all shards once. It deletes everything that has expired, so it
// returns 0.
func (e *Engine) Sweep(ctx context.Context, now time.Time, _ int) (int, error) {
	at := now.UnixNano()
	for i := range e.shards {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		e.shards[i].sweep(at)
	}
	return 0, nil
}

// sweepStep is how many sessions are deleted while the lock is held, so that nobody waits
// for long.
const sweepStep = 1024

func (sh *shard) sweep(at int64) {
	for some := range slices.Chunk(sh.expired(at), sweepStep) {
		sh.drop(some, at)
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if n := len(sh.sessions); n < sh.most/4 { // A map never gives back what it needed for many more.
		fewer := make(map[string]*stored, n)
		maps.Copy(fewer, sh.sessions)
		sh.sessions, sh.most = fewer, n
	}
}

func (sh *shard) expired(at int64) (ids []string) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for id, s := range sh.sessions {
		if s.expiry <= at {
			ids = append(ids, id)
		}
	}
	return ids
}

// drop deletes what has not been touched meanwhile.
func (sh *shard) drop(ids []string, at int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, id := range ids {
		if s, ok := sh.sessions[id]; ok && s.expiry <= at {
			delete(sh.sessions, id)
		}
	}
}

// Count implements driver.Counter. It does not block readers.
func (e *Engine) Count(ctx context.Context, now time.Time) (n int, err error) {
	at := now.UnixNano()
	for i := range e.shards {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n += e.shards[i].count(at)
	}
	return n, nil
}

func (sh *shard) count(at int64) (n int) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for id, s := range sh.sessions {
		if s.expiry > at && !driver.OwnID(id) {
			n++
		}
	}
	return n
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

func (sh *shard) ids() []string {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return slices.Collect(maps.Keys(sh.sessions))
}

// Encode implements txn.Engine.
func (e *Engine) Encode(v txn.View, ch *txn.Changes) ([]byte, error) {
	return codec.Gob.Marshal(ch.Apply(valuesOf(v)))
}
