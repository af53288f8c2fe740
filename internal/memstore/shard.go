package memstore

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/flamego/session/internal/txn"
)

// sweepStep is how many sessions a sweep looks at before it releases the lock.
const sweepStep = 1024

// shard is a part of the sessions with its own lock. The sessions are in parallel
// slices, without gaps and in no order, so the sweep reads only the expiries.
type shard struct {
	mu     sync.RWMutex
	index  map[uint64]uint32 // by a hash of the ID: a map without pointers costs the garbage collector nothing
	ids    []string
	hashes []uint64
	vals   []*txn.Values
	expiry []int64 // Unix nanoseconds; atomic under a read lock
	swept  int     // where the next step of the sweep begins

	_ [64]byte // A neighbour's lock on the same cache line would slow this one.
}

// at returns where a session is. Two IDs with the same hash of 64 bits, should that ever
// happen, cannot be there at the same time: has then says that the place is taken.
func (sh *shard) at(k key) (uint32, bool) {
	i, ok := sh.index[k.hash]
	return i, ok && sh.ids[i] == k.id
}

func (sh *shard) has(k key) bool {
	_, ok := sh.index[k.hash]
	return ok
}

// find looks for a version that is still the one that is stored.
func (sh *shard) find(k key, v txn.Version) (uint32, bool) {
	i, ok := sh.at(k)
	return i, ok && v.View == txn.View(sh.vals[i])
}

// add and drop need the write lock.
func (sh *shard) add(k key, v *txn.Values, expiry time.Time) {
	sh.index[k.hash] = uint32(len(sh.ids))
	sh.ids = append(sh.ids, k.id)
	sh.hashes = append(sh.hashes, k.hash)
	sh.vals = append(sh.vals, v)
	sh.expiry = append(sh.expiry, expiry.UnixNano())
}

// drop fills the gap with the last session.
func (sh *shard) drop(i uint32) {
	last := len(sh.ids) - 1
	delete(sh.index, sh.hashes[i])
	if int(i) != last {
		sh.ids[i], sh.hashes[i], sh.vals[i], sh.expiry[i] = sh.ids[last], sh.hashes[last], sh.vals[last], sh.expiry[last]
		sh.index[sh.hashes[i]] = i
	}
	sh.ids[last], sh.vals[last] = "", nil // Nothing may be kept alive.
	sh.ids, sh.hashes, sh.vals, sh.expiry = sh.ids[:last], sh.hashes[:last], sh.vals[:last], sh.expiry[:last]
}

// sweep does one step, and reports whether there is another.
func (sh *shard) sweep(at int64) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	// Backwards, so that what fills a gap has already been looked at.
	if sh.swept <= 0 || sh.swept > len(sh.ids) {
		sh.swept = len(sh.ids)
	}
	end := max(0, sh.swept-sweepStep)
	for i := sh.swept - 1; i >= end; i-- {
		if sh.expiry[i] <= at {
			sh.drop(uint32(i))
		}
	}
	sh.swept = end
	return end > 0
}

// count returns how many have not expired.
func (sh *shard) count(at int64) (n int) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for i := range sh.expiry {
		if atomic.LoadInt64(&sh.expiry[i]) > at {
			n++
		}
	}
	return n
}
