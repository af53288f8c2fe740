package session

import (
	"context"
	"fmt"
	"hash/maphash"
	"reflect"
	"strings"
	"sync/atomic"
	"time"
)

// MemoryConfig contains options for the memory session store.
type MemoryConfig struct {
	// Lifetime is the duration to have no access to a session before being
	// recycled. Default is 3600 seconds, also for anything under a second; more than
	// 100 years count as 100 years.
	Lifetime time.Duration
}

// MemoryIniter returns the Initer for the memory session store. It keeps Go
// values as they are, within the process: nothing is encoded, every type goes,
// and a restart ends all sessions. Its Config is a MemoryConfig, or nothing.
func MemoryIniter() Initer {
	return func(_ context.Context, args ...interface{}) (Store, error) {
		cfg, given := parseArgs[MemoryConfig](args)
		if !given {
			for _, arg := range args {
				if t := reflect.TypeOf(arg); t != nil && strings.HasSuffix(t.String(), "Config") {
					return nil, fmt.Errorf("Options.Config is a %T, which belongs to another Initer: set Options.Initer to that one, or Options.Config to a session.MemoryConfig", arg)
				}
			}
		}
		st := newStore(newMemory(), cfg.Lifetime)
		st.local = true
		return st, nil
	}
}

const (
	memoryShards = 256 // A power of two.
)

// memory keeps sessions of this process. A record is a pointer to a version
// which never changes, so that compare-and-swap is a comparison of pointers.
type memory struct {
	seed   maphash.Seed
	shards [memoryShards]shard
}

func newMemory() *memory {
	m := &memory{seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].index = make(map[string]uint32)
	}
	return m
}

func (m *memory) shard(id string) *shard {
	return &m.shards[maphash.String(m.seed, id)%memoryShards]
}

func (m *memory) load(_ context.Context, id string) (snapshot, error) {
	sh := m.shard(id)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	i, ok := sh.index[id]
	if !ok {
		return snapshot{}, ErrNotFound
	}
	return snapshot{values: sh.vals[i], expiry: time.Unix(0, atomic.LoadInt64(&sh.expiry[i]))}, nil
}

func (m *memory) create(_ context.Context, id string, ch *changes, expiry time.Time) (snapshot, error) {
	v := ch.apply(noValues)
	sh := m.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if _, ok := sh.index[id]; ok {
		return snapshot{}, ErrExists
	}
	sh.add(id, v, expiry)
	return snapshot{values: v, expiry: expiry}, nil
}

func (m *memory) replace(_ context.Context, id string, old snapshot, ch *changes, expiry time.Time) (snapshot, error) {
	v := ch.apply(old.values)
	sh := m.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i, ok := sh.index[id]
	if !ok || sh.vals[i] != old.values {
		return snapshot{}, ErrConflict
	}
	sh.vals[i], sh.expiry[i] = v, expiry.UnixNano()
	return snapshot{values: v, expiry: expiry}, nil
}

func (m *memory) move(_ context.Context, id, newID string, old snapshot, ch *changes, expiry time.Time) (snapshot, error) {
	v := ch.apply(old.values)
	from, to := m.shard(id), m.shard(newID)
	unlock := lockBoth(from, to, m)
	defer unlock()
	i, ok := from.index[id]
	if !ok || from.vals[i] != old.values {
		return snapshot{}, ErrConflict
	}
	if _, ok := to.index[newID]; ok {
		return snapshot{}, ErrExists
	}
	from.drop(i)
	to.add(newID, v, expiry)
	return snapshot{values: v, expiry: expiry}, nil
}

// lockBoth takes two locks in the order of the shards, so that two moves cannot
// wait for each other.
func lockBoth(a, b *shard, m *memory) (unlock func()) {
	if a == b {
		a.mu.Lock()
		return a.mu.Unlock
	}
	for i := range m.shards {
		if sh := &m.shards[i]; sh == a || sh == b {
			sh.mu.Lock()
		}
	}
	return func() { a.mu.Unlock(); b.mu.Unlock() }
}

func (m *memory) touch(_ context.Context, id string, old snapshot, expiry time.Time) error {
	sh := m.shard(id)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	i, ok := sh.index[id]
	if !ok || sh.vals[i] != old.values {
		return ErrConflict
	}
	atomic.StoreInt64(&sh.expiry[i], expiry.UnixNano())
	return nil
}

func (m *memory) remove(_ context.Context, id string) error {
	sh := m.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if i, ok := sh.index[id]; ok {
		sh.drop(i)
	}
	return nil
}

// sweep goes once through all shards, in steps that hold a lock for a fraction
// of a millisecond. It removes all there is to remove, and so reports nothing
// left to do.
func (m *memory) sweep(ctx context.Context, now time.Time, _ int) (int, error) {
	at := now.UnixNano()
	for i := range m.shards {
		for sh, more := &m.shards[i], true; more; {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			more = sh.sweep(at)
		}
	}
	return 0, nil
}

func (m *memory) encode(old snapshot, ch *changes) ([]byte, error) {
	v := old.values
	if v == nil {
		v = noValues
	}
	return gobCodec.marshal(ch.apply(v))
}
