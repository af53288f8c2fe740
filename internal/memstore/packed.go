package memstore

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/txn"
)

// packed is a View of values that are all numbers, booleans or strings, under keys that
// are strings, as bytes: the garbage collector need not look at them. It does not
// change. Everything else has to stay the Go value that it is: a pointer, a slice or a
// map because requests share it, and types of the application because nothing could
// make them again.
type packed struct {
	// version is what compare-and-swap compares.
	version uint32
	// data are the pairs, one after the other: the kind of the value, the key, the value.
	// The library's own come first, so that a request sees at once that there are none.
	data []byte
	// in is room for the txn.Version that it comes in.
	in txn.Version
}

const (
	// maxData is the most data that is packed, in bytes.
	maxData = maxRow - rowHeader - driver.MaxIDLength
	// maxPart is the length of the longest key or value that is packed, in bytes.
	maxPart = math.MaxUint8
)

// newPacked returns one with room for n bytes. Most need one allocation.
func newPacked(n int) *packed {
	switch {
	case n <= 64:
		p := &struct {
			packed
			room [64]byte
		}{}
		p.data = p.room[:0]
		return &p.packed
	case n <= 128:
		p := &struct {
			packed
			room [128]byte
		}{}
		p.data = p.room[:0]
		return &p.packed
	}
	return &packed{data: make([]byte, 0, n)}
}

// The kinds of values.
const (
	kindBool = iota + 1
	kindInt
	kindInt8
	kindInt16
	kindInt32
	kindInt64
	kindUint
	kindUint8
	kindUint16
	kindUint32
	kindUint64
	kindFloat32
	kindFloat64
	kindString
)

// encode returns the kind of a value, or 0 if it is not packed, and appends its bytes.
func encode(val any, buf []byte) (kind byte, b []byte) {
	switch v := val.(type) {
	case bool:
		if v {
			return kindBool, append(buf, 1)
		}
		return kindBool, buf
	case int:
		return kindInt, binary.AppendVarint(buf, int64(v))
	case int8:
		return kindInt8, binary.AppendVarint(buf, int64(v))
	case int16:
		return kindInt16, binary.AppendVarint(buf, int64(v))
	case int32:
		return kindInt32, binary.AppendVarint(buf, int64(v))
	case int64:
		return kindInt64, binary.AppendVarint(buf, v)
	case uint:
		return kindUint, binary.AppendUvarint(buf, uint64(v))
	case uint8:
		return kindUint8, binary.AppendUvarint(buf, uint64(v))
	case uint16:
		return kindUint16, binary.AppendUvarint(buf, uint64(v))
	case uint32:
		return kindUint32, binary.AppendUvarint(buf, uint64(v))
	case uint64:
		return kindUint64, binary.AppendUvarint(buf, v)
	case float32:
		return kindFloat32, binary.AppendUvarint(buf, uint64(math.Float32bits(v)))
	case float64:
		return kindFloat64, binary.AppendUvarint(buf, math.Float64bits(v))
	case string:
		if len(v) <= maxPart {
			return kindString, append(buf, v...)
		}
	}
	return 0, nil
}

func decode(kind byte, b []byte) any {
	i, _ := binary.Varint(b)
	u, _ := binary.Uvarint(b)
	switch kind {
	case kindBool:
		return len(b) > 0
	case kindInt:
		return int(i)
	case kindInt8:
		return int8(i)
	case kindInt16:
		return int16(i)
	case kindInt32:
		return int32(i)
	case kindInt64:
		return i
	case kindUint:
		return uint(u)
	case kindUint8:
		return uint8(u)
	case kindUint16:
		return uint16(u)
	case kindUint32:
		return uint32(u)
	case kindUint64:
		return u
	case kindFloat32:
		return math.Float32frombits(uint32(u))
	case kindFloat64:
		return math.Float64frombits(u)
	}
	return string(b)
}

// appendPart adds up to 255 bytes, with their number in front, and cutPart takes them off
// again.
func appendPart[T []byte | string](b []byte, part T) []byte {
	return append(append(b, byte(len(part))), part...)
}

func cutPart(b []byte) (part, rest []byte) {
	end := 1 + int(b[0])
	return b[1:end], b[end:]
}

// cut takes the first pair off.
func cut(data []byte) (kind byte, key, val, rest []byte) {
	key, rest = cutPart(data[1:])
	val, rest = cutPart(rest)
	return data[0], key, val, rest
}

// pack returns values as packed, or nil if that is impossible.
func pack(vals *txn.Values) *packed {
	p := newPacked(0)
	for _, pair := range vals.Pairs {
		if !p.add(pair.Key, pair.Value) {
			return nil
		}
	}
	return p
}

// unpack copies data from a row into a new View.
func unpack(version uint32, data []byte) *packed {
	p := newPacked(len(data))
	p.version, p.data = version, append(p.data, data...)
	return p
}

// with returns what follows p, which may be nil, after the changes, or nil if they cannot
// be packed. It handles only what was changed.
func (p *packed) with(ch *txn.Changes) *packed {
	var old []byte
	if p != nil {
		old = p.data
	}
	next := unpack(0, old)
	if ch.Flushed() {
		next.flush()
	}
	for key, val := range ch.All() {
		next.remove(key)
		if val != nil && !next.add(key, val) {
			return nil
		}
	}
	return next
}

// flush removes what txn.Changes.Flush does, while p is being made.
func (p *packed) flush() {
	kept := &packed{}
	for _, key := range txn.KeptKeys() {
		if val, ok := p.Get(key); ok {
			kept.add(key, val)
		}
	}
	p.data = append(p.data[:0], kept.data...)
}

// add adds a key that is not there, while p is being made. It reports whether it could.
func (p *packed) add(key, val any) bool {
	name, ok := key.(string)
	if !ok || len(name) > maxPart {
		return false
	}
	at := len(p.data)
	b := append(appendPart(append(p.data, 0), name), 0) // Kind and length are not known yet.
	start := len(b)
	kind, b := encode(val, b)
	if kind == 0 || len(b) > maxData {
		return false
	}
	b[at], b[start-1] = kind, byte(len(b)-start)
	p.data = b
	if strings.HasPrefix(name, txn.OwnPrefix) {
		pair := bytes.Clone(p.data[at:])
		copy(p.data[len(pair):], p.data[:at])
		copy(p.data, pair)
	}
	return true
}

// remove removes a key, while p is being made.
func (p *packed) remove(key any) {
	if _, _, from, to := p.find(key); from < to {
		p.data = append(p.data[:from], p.data[to:]...)
	}
}

// find returns a value, and where its pair is, which is empty for a key that is missing.
func (p *packed) find(key any) (kind byte, val []byte, from, to int) {
	name, ok := key.(string)
	for rest := p.data; ok && len(rest) > 0; {
		kind, k, val, after := cut(rest)
		if string(k) == name {
			return kind, val, len(p.data) - len(rest), len(p.data) - len(after)
		}
		rest = after
	}
	return 0, nil, 0, 0
}

// Get implements txn.View.
func (p *packed) Get(key any) (any, bool) {
	if kind, val, _, _ := p.find(key); kind != 0 {
		return decode(kind, val), true
	}
	return nil, false
}

// Own returns the pairs that may be the library's own, usually none.
func (p *packed) Own() []txn.Pair {
	if len(p.data) == 0 || len(p.data) > 2 && p.data[2] != txn.OwnPrefix[0] {
		return nil // Not even a call of what follows.
	}
	return p.pairs(txn.OwnPrefix)
}

// Values returns the values as everybody else has them.
func (p *packed) Values() *txn.Values { return txn.NewValues(p.pairs("")) }

// pairs returns those in front whose keys have a prefix.
func (p *packed) pairs(prefix string) (pairs []txn.Pair) {
	for rest := p.data; len(rest) > 0; {
		kind, key, val, after := cut(rest)
		if len(key) < len(prefix) || string(key[:len(prefix)]) != prefix {
			break
		}
		pairs = append(pairs, txn.Pair{Key: string(key), Value: decode(kind, val)})
		rest = after
	}
	return pairs
}
