package gobstream

import (
	"errors"
	"math"
	"math/bits"
	"slices"
	"sync"
	"time"
)

// encoder writes the value message of a stream. Its methods are named for what
// they write, each the whole of it, in the form that gob's Encoder gives it.
type encoder struct {
	buf   []byte
	used  [numIDs]bool // the types whose definition must go before the message
	depth int          // of lists and maps around the value at hand

	groups groups // the types of all other values
}

// The message is written to memory that is used again, and copied when its
// length and the definitions it needs are known: the result is the only
// allocation.
var encoders = sync.Pool{New: func() any { return new(encoder) }}

// free gives the encoder back, unless a huge session made it too big to keep.
func (e *encoder) free() {
	if cap(e.buf) <= keepSize {
		*e = encoder{buf: e.buf[:0]}
		encoders.Put(e)
	}
}

// session writes the whole of it.
func (e *encoder) session(pairs []Pair) error {
	e.used[idSession-firstID] = true
	e.buf = append(appendInt(e.buf, idSession), 0)
	e.buf = appendUint(e.buf, uint64(len(pairs)))
	for i := range pairs {
		if key, ok := pairs[i].Key.(string); ok {
			e.stringValue(key)
		} else if err := checkKey(pairs[i].Key); err != nil {
			return err
		} else if err := e.any(pairs[i].Key); err != nil {
			return err
		}
		if err := e.any(pairs[i].Value); err != nil {
			return err
		}
	}
	// Where a message gets too long for gob depends on the machine.
	if len(e.buf) >= 1<<30 {
		return errors.New("it takes more than 1 GB")
	}
	return nil
}

// any writes a value of any type.
func (e *encoder) any(v any) error {
	length, used := len(e.buf), e.used
	if e.value(v) {
		return nil
	}
	if e.depth >= maxDepth {
		return errTooDeep
	}
	e.buf, e.used, e.depth = e.buf[:length], used, 0
	if r, ok := v.(*Raw); ok {
		return e.raw(r)
	}
	return e.uncommon(v)
}

// stream puts together the definitions and the message. The definitions go in
// the order of their numbers, so equal sessions of plain values are equal bytes.
func (e *encoder) stream() []byte {
	var length [9]byte // the longest number
	prefix := appendUint(length[:0], uint64(len(e.buf)))
	size := len(prefix) + len(e.buf) + e.groups.size
	for i, used := range e.used {
		if used {
			size += len(definitions[i])
		}
	}
	out := make([]byte, 0, size)
	for i, used := range e.used {
		if used {
			out = append(out, definitions[i]...)
		}
	}
	for _, g := range e.groups.list {
		out = append(out, g.defs...)
	}
	out = append(out, prefix...)
	return append(out, e.buf...)
}

// value writes an interface: the name of the type, its number, then the value
// with its length before it; for nil, an empty name. It reports whether it
// knows the type. Only the very types are listed: another of the same kind, or
// a pointer to one, goes under a name of its own.
func (e *encoder) value(v any) bool {
	switch v := v.(type) {
	case nil:
		e.buf = append(e.buf, 0)
	case string:
		e.stringValue(v)
	case bool:
		x := uint64(0)
		if v {
			x = 1
		}
		e.uint("bool", idBool, x)
	case int:
		e.int("int", int64(v))
	case int8:
		e.int("int8", int64(v))
	case int16:
		e.int("int16", int64(v))
	case int32:
		e.int("int32", int64(v))
	case int64:
		e.int("int64", v)
	case time.Duration:
		e.int("time.Duration", int64(v))
	case uint:
		e.uint("uint", idUint, uint64(v))
	case uint8:
		e.uint("uint8", idUint, uint64(v))
	case uint16:
		e.uint("uint16", idUint, uint64(v))
	case uint32:
		e.uint("uint32", idUint, uint64(v))
	case uint64:
		e.uint("uint64", idUint, v)
	case float32:
		e.float("float32", float64(v))
	case float64:
		e.float("float64", v)
	case []byte:
		at := e.open("[]uint8", idBytes)
		e.buf = append(appendUint(e.buf, uint64(len(v))), v...)
		e.close(at)
	default:
		return e.compound(v)
	}
	return true
}

// open starts a value. The first of the two zeros is the place of its length,
// the second says that the value is not a struct.
func (e *encoder) open(name string, id int64) (at int) {
	if id >= firstID {
		e.used[id-firstID] = true
	}
	e.string(name)
	e.buf = append(appendInt(e.buf, id), 0, 0)
	return len(e.buf) - 2
}

// close fills in the length of the value that was opened at that place. Only
// values of 128 bytes and more have to be moved for it.
func (e *encoder) close(at int) {
	n := len(e.buf) - at - 1
	if n < 0x80 {
		e.buf[at] = byte(n)
		return
	}
	var length [9]byte
	e.buf = slices.Replace(e.buf, at, at+1, appendUint(length[:0], uint64(n))...)
}

// string writes bare text, without a type: a name, or an element of a type that
// says so.
func (e *encoder) string(s string) {
	e.buf = append(appendUint(e.buf, uint64(len(s))), s...)
}

// stringValue is a shorter way for the usual value, and for keys.
func (e *encoder) stringValue(s string) {
	at := e.open("string", idString)
	e.string(s)
	e.close(at)
}

// int writes a signed number of any size: the wire has one type for all, the
// name tells which it was.
func (e *encoder) int(name string, x int64) {
	at := e.open(name, idInt)
	e.buf = appendInt(e.buf, x)
	e.close(at)
}

// uint also writes what gob makes a number of: bools and floats.
func (e *encoder) uint(name string, id int64, x uint64) {
	at := e.open(name, id)
	e.buf = appendUint(e.buf, x)
	e.close(at)
}

// float writes the bytes of a number in reverse: those of round numbers end in
// zeros, and leading zeros are not written. A float32 goes as the same float64.
func (e *encoder) float(name string, x float64) {
	e.uint(name, idFloat, bits.ReverseBytes64(math.Float64bits(x)))
}
