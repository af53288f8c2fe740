package txn

import (
	"hash/maphash"
	"sync"
	"time"
)

// Unreadable remembers records, or values, that could not be decoded, so that each is
// reported only from time to time, however often its visitor returns.
type Unreadable struct {
	mu   sync.Mutex
	seen map[uint64]time.Time
}

const (
	unreadableFor  = 5 * time.Minute
	mostUnreadable = 1024
)

var unreadableSeed = maphash.MakeSeed()

func unreadableKey(id string, data []byte) uint64 {
	return maphash.String(unreadableSeed, id) ^ maphash.Bytes(unreadableSeed, data)
}

// Known reports whether Add was called.
func (u *Unreadable) Known(id string, data []byte) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	at, ok := u.seen[unreadableKey(id, data)]
	return ok && time.Since(at) < unreadableFor
}

// Add reports whether the record is new.
func (u *Unreadable) Add(id string, data []byte) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	key := unreadableKey(id, data)
	if at, ok := u.seen[key]; ok && time.Since(at) < unreadableFor {
		return false
	}
	if u.seen == nil || len(u.seen) >= mostUnreadable {
		u.seen = make(map[uint64]time.Time)
	}
	u.seen[key] = time.Now()
	return true
}
