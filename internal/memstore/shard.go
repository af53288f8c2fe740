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
	index  map[string]uint32
	ids    []string
	vals   []*txn.Values
	expiry []int64 // Unix nanoseconds; atomic under a read lock
	swept  int     // where the next step of the sweep begins

	_ [64]byte // A neighbour's lock on the same cache line would slow this one.
}

// find finds a version, if it is still the stored one.
func (sh *shard) find(v txn.Version) (uint32, bool) {
	i, ok := sh.index[v.ID]
	return i, ok && v.View == txn.View(sh.vals[i])
}

// add and drop need the write lock.
func (sh *shard) add(id string, v *txn.Values, expiry time.Time) {
	sh.index[id] = uint32(len(sh.ids))
	sh.ids = append(sh.ids, id)
	sh.vals = append(sh.vals, v)
	sh.expiry = append(sh.expiry, expiry.UnixNano())
}

// drop fills the gap with the last session.
func (sh *shard) drop(i uint32) {
	last := len(sh.ids) - 1
	delete(sh.index, sh.ids[i])
	if int(i) != last {
		sh.ids[i], sh.vals[i], sh.expiry[i] = sh.ids[last], sh.vals[last], sh.expiry[last]
		sh.index[sh.ids[i]] = i
	}
	sh.ids[last], sh.vals[last] = "", nil // For the garbage collector.
	sh.ids, sh.vals, sh.expiry = sh.ids[:last], sh.vals[:last], sh.expiry[:last]
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
