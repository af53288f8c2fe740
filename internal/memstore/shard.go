package memstore

import (
	"hash/maphash"
	"maps"
	"sync"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/txn"
)

const (
	// sweepStep is how many sessions a sweep looks at before it releases the lock.
	sweepStep = 1024
	// sizeBits are the bits of a place that say which table.
	sizeBits = 7
)

// shard is a part of the sessions with its own lock. What a million of them need has no
// pointers in it, so the garbage collector need not go through them.
type shard struct {
	mu      sync.RWMutex
	seed    maphash.Seed
	index   map[uint64]place // by a hash of the ID
	tables  []table          // by the size of their rows, in steps
	values  map[uint64]*txn.Values
	most    int    // sessions that there have been since the maps were made
	version uint32 // the last one; after four thousand million they begin again

	_ [64]byte // A neighbour's lock on the same cache line would slow this one.
}

// place is where a session is, and what compare-and-swap compares: the version of what is
// packed in the row, or 0 if the values are not there, but in the shard's.
type place struct{ at, version uint32 }

func placeOf(size, i int) uint32 { return uint32(i<<sizeBits | size/rowStep) }

func (sh *shard) at(p place) (t *table, i int) {
	return &sh.tables[p.at&(1<<sizeBits-1)], int(p.at >> sizeBits)
}

func (sh *shard) rowAt(p place) []byte {
	t, i := sh.at(p)
	return t.row(i)
}

// lookup returns where a session is. Two IDs with the same hash of 64 bits, should that
// ever happen, cannot be there at the same time: has then says that the place is taken.
func (sh *shard) lookup(k key) (p place, row []byte, ok bool) {
	if p, ok = sh.index[k.hash]; !ok {
		return p, nil, false
	}
	row = sh.rowAt(p)
	id, _ := split(row)
	return p, row, string(id) == k.id
}

func (sh *shard) has(k key) bool {
	_, ok := sh.index[k.hash]
	return ok
}

// view returns what a session holds.
func (sh *shard) view(k key, p place, row []byte) txn.View {
	if p.version == 0 {
		return sh.values[k.hash]
	}
	_, data := split(row)
	return unpack(p.version, data)
}

// find looks for a version that is still the one that is stored.
func (sh *shard) find(k key, v *txn.Version) (p place, row []byte, ok bool) {
	if p, row, ok = sh.lookup(k); !ok {
		return p, nil, false
	}
	switch v := v.View.(type) {
	case *packed:
		ok = v.version == p.version
	case *txn.Values:
		ok = p.version == 0 && v == sh.values[k.hash]
	}
	return p, row, ok
}

// put stores a session, in the place of what is there under its ID, if there is a row.
// Like everything below that changes the shard, it needs the write lock.
func (sh *shard) put(k key, p place, row []byte, v txn.View, expiry time.Time) {
	var data []byte
	switch v := v.(type) {
	case *packed:
		if row != nil && p.version == 0 {
			delete(sh.values, k.hash)
		}
		sh.version = max(1, sh.version+1)
		p.version, v.version = sh.version, sh.version
		data = v.data
	case *txn.Values:
		p.version = 0
		sh.values[k.hash] = v
	}
	if size := rowSize(k.id, data); len(row) != size {
		if row != nil {
			sh.cut(p)
		}
		p.at, row = sh.push(size)
	}
	fill(row, k.id, data, expiry)
	sh.index[k.hash] = p
	sh.most = max(sh.most, len(sh.index))
}

// push makes a row.
func (sh *shard) push(size int) (at uint32, row []byte) {
	for len(sh.tables) <= size/rowStep {
		sh.tables = append(sh.tables, table{size: len(sh.tables) * rowStep})
	}
	t := &sh.tables[size/rowStep]
	return placeOf(size, t.n), t.push()
}

// drop removes a session.
func (sh *shard) drop(hash uint64) {
	if p, ok := sh.index[hash]; ok {
		sh.cut(p)
		delete(sh.index, hash)
		delete(sh.values, hash)
	}
}

// cut removes a row, and fills the gap with the last one of the table.
func (sh *shard) cut(p place) {
	t, i := sh.at(p)
	if last := t.n - 1; i != last {
		moved := t.row(last)
		copy(t.row(i), moved)
		id, _ := split(moved)
		hash := maphash.Bytes(sh.seed, id)
		sh.index[hash] = place{p.at, sh.index[hash].version}
	}
	t.pop()
}

// cursor is how far a sweep has come.
type cursor struct {
	table int
	rows  int // the first ones, which are still to come; 0 for all
}

// sweep does one step in a table, and returns where the next one is, if there is one.
func (sh *shard) sweep(c cursor, at int64) (next cursor, more bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for ; c.table < len(sh.tables); c = (cursor{table: c.table + 1}) {
		t := &sh.tables[c.table]
		if t.n == 0 {
			continue
		}
		// Backwards, so that what fills a gap has already been looked at.
		if c.rows == 0 || c.rows > t.n {
			c.rows = t.n
		}
		end := max(0, c.rows-sweepStep)
		for i := c.rows - 1; i >= end; i-- {
			if row := t.row(i); expiryOf(row) <= at {
				id, _ := split(row)
				sh.drop(maphash.Bytes(sh.seed, id))
			}
		}
		if end == 0 {
			return cursor{table: c.table + 1}, true
		}
		return cursor{c.table, end}, true
	}
	sh.shrink()
	return cursor{}, false
}

// shrink gives back what the maps needed for many more sessions. A map never does.
func (sh *shard) shrink() {
	if n := len(sh.index); n < sh.most/4 {
		index, values := make(map[uint64]place, n), make(map[uint64]*txn.Values)
		maps.Copy(index, sh.index)
		maps.Copy(values, sh.values)
		sh.index, sh.values, sh.most = index, values, n
	}
}

// count returns how many have not expired.
func (sh *shard) ids() (all []string) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for i := range sh.tables {
		t := &sh.tables[i]
		for j := range t.n {
			id, _ := split(t.row(j))
			all = append(all, string(id))
		}
	}
	return all
}

func (sh *shard) count(at int64) (n int) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for i := range sh.tables {
		t := &sh.tables[i]
		for j := range t.n {
			row := t.row(j)
			if expiryOf(row) <= at {
				continue
			}
			if id, _ := split(row); len(id) != driver.OwnIDLength || !driver.OwnID(string(id)) {
				n++
			}
		}
	}
	return n
}
