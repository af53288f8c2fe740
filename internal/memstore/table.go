package memstore

import (
	"encoding/binary"
	"slices"
	"time"
)

// A row is a session in bytes: its expiry, the number of zeros at the end, its ID, its
// data, and zeros up to a multiple of rowStep.
const (
	rowStep   = 8
	maxRow    = rowStep * (1<<sizeBits - 1)
	rowHeader = 8 + 1 + 1 // what is in front of the ID
	chunkSize = 16 << 10
)

func rowSize(id string, data []byte) int {
	return (rowHeader + len(id) + len(data) + rowStep - 1) &^ (rowStep - 1)
}

// fill writes a row.
func fill(row []byte, id string, data []byte, expiry time.Time) {
	setExpiry(row, expiry)
	row[rowHeader-1] = byte(len(id))
	rest := row[rowHeader:]
	rest = rest[copy(rest, id):]
	rest = rest[copy(rest, data):]
	row[rowHeader-2] = byte(len(rest))
	clear(rest)
}

func expiryOf(row []byte) int64 { return int64(binary.LittleEndian.Uint64(row)) }

func setExpiry(row []byte, expiry time.Time) {
	binary.LittleEndian.PutUint64(row, uint64(expiry.UnixNano()))
}

func split(row []byte) (id, data []byte) {
	id, data = cutPart(row[rowHeader-1:])
	return id, data[:len(data)-int(row[rowHeader-2])]
}

// table holds the rows of one size, in chunks, without gaps and in no order. So whatever
// comes and goes, no memory is lost between them.
type table struct {
	size   int
	n      int
	chunks [][]byte
}

func (t *table) perChunk() int { return chunkSize / t.size }

// row returns the memory of a row, which the next change of the table may give to
// another.
func (t *table) row(i int) []byte {
	per := t.perChunk()
	return t.chunks[i/per][i%per*t.size:][:t.size]
}

// push adds a row at the end, and returns its memory.
func (t *table) push() []byte {
	switch {
	case t.n == 0:
		t.chunks = [][]byte{nil} // The first one grows as it is needed.
	case t.n%t.perChunk() == 0:
		t.chunks = append(t.chunks, make([]byte, 0, chunkSize))
	}
	last := &t.chunks[len(t.chunks)-1]
	*last = append(*last, make([]byte, t.size)...)
	t.n++
	return t.row(t.n - 1)
}

// pop removes the last row.
func (t *table) pop() {
	t.n--
	last := len(t.chunks) - 1
	t.chunks[last] = t.chunks[last][:len(t.chunks[last])-t.size]
	if len(t.chunks[last]) == 0 {
		t.chunks[last] = nil
		t.chunks = t.chunks[:last]
	}
	if last == 0 && t.n > 0 && t.n*t.size < cap(t.chunks[0])/4 {
		t.chunks[0] = slices.Clone(t.chunks[0]) // It shrinks as it grew.
	}
}
