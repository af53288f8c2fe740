package gobstream

import (
	"math"
	"math/bits"
	"slices"
	"sync"
	"time"
)

// encoder writes the value message of a stream.
type encoder struct {
	buf   []byte
	used  [numIDs]bool // the types that need their definition
	depth int
}

// The message is written to memory that is used again, and copied when its
// length and the definitions it needs are known.
var encoders = sync.Pool{New: func() any { return new(encoder) }}

func (e *encoder) free() {
	if cap(e.buf) <= keepSize {
		*e = encoder{buf: e.buf[:0]}
		encoders.Put(e)
	}
}

// encodeCommon returns nil bytes when a pair is not one of those it knows.
func encodeCommon(pairs []Pair) ([]byte, error) {
	e := encoders.Get().(*encoder)
	defer e.free()
	e.used[idSession-64] = true
	e.buf = append(appendInt(e.buf, idSession), 0)
	e.buf = appendUint(e.buf, uint64(len(pairs)))
	for i := range pairs {
		key, ok := pairs[i].Key.(string)
		if !ok {
			return nil, nil
		}
		e.stringValue(key)
		if !e.value(pairs[i].Value) {
			if e.depth >= maxDepth {
				return nil, errTooDeep
			}
			return nil, nil
		}
	}
	// Where a message gets too long for gob is left to gob to say.
	if len(e.buf) >= 1<<30 {
		return nil, nil
	}

	var length [9]byte
	prefix := appendUint(length[:0], uint64(len(e.buf)))
	size := len(prefix) + len(e.buf)
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
	out = append(out, prefix...)
	return append(out, e.buf...), nil
}

// value writes what gob writes for an interface: the name of the type, its
// number, then the value with its length before it. It reports whether it knows
// the type; a nil is an empty name.
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
	case time.Time:
		return e.time(v)
	default:
		return e.compound(v)
	}
	return true
}

// compound writes the types that need a definition.
func (e *encoder) compound(v any) bool {
	switch v := v.(type) {
	case []string:
		at := e.open(nameStrings, idStrings)
		e.buf = appendUint(e.buf, uint64(len(v)))
		for _, s := range v {
			e.string(s)
		}
		e.close(at)
	case []int:
		at := e.open(nameInts, idInts)
		e.buf = appendUint(e.buf, uint64(len(v)))
		for _, x := range v {
			e.buf = appendInt(e.buf, int64(x))
		}
		e.close(at)
	case map[string]string:
		at := e.open(nameStringMap, idStringMap)
		e.buf = appendUint(e.buf, uint64(len(v)))
		for k, s := range v {
			e.string(k)
			e.string(s)
		}
		e.close(at)
	case []any:
		if !e.deeper() {
			return false
		}
		at := e.open(nameList, idList)
		e.buf = appendUint(e.buf, uint64(len(v)))
		for _, x := range v {
			if !e.value(x) {
				return false
			}
		}
		e.close(at)
		e.depth--
	case map[string]any:
		if !e.deeper() {
			return false
		}
		at := e.open(nameAnyMap, idAnyMap)
		e.buf = appendUint(e.buf, uint64(len(v)))
		for k, x := range v {
			e.string(k)
			if !e.value(x) {
				return false
			}
		}
		e.close(at)
		e.depth--
	default:
		return false
	}
	return true
}

// deeper counts a level that can hold further ones. It leaves the count at the
// bound when that is reached, which tells this refusal from the others.
func (e *encoder) deeper() bool {
	if e.depth >= maxDepth {
		return false
	}
	e.depth++
	return e.depth < maxDepth
}

// open starts a value. The first of the two zeros is the place of its length,
// the second is part of every value that is not a struct.
func (e *encoder) open(name string, id int64) (at int) {
	if id >= 64 {
		e.used[id-64] = true
	}
	e.string(name)
	e.buf = append(appendInt(e.buf, id), 0, 0)
	return len(e.buf) - 2
}

// close fills in the length of the value that was opened at that place, and
// makes room if it takes more than a byte.
func (e *encoder) close(at int) {
	n := len(e.buf) - at - 1
	if n < 0x80 {
		e.buf[at] = byte(n)
		return
	}
	var length [9]byte
	e.buf = slices.Replace(e.buf, at, at+1, appendUint(length[:0], uint64(n))...)
}

func (e *encoder) string(s string) {
	e.buf = append(appendUint(e.buf, uint64(len(s))), s...)
}

func (e *encoder) stringValue(s string) {
	at := e.open("string", idString)
	e.string(s)
	e.close(at)
}

func (e *encoder) int(name string, x int64) {
	at := e.open(name, idInt)
	e.buf = appendInt(e.buf, x)
	e.close(at)
}

func (e *encoder) uint(name string, id int64, x uint64) {
	at := e.open(name, id)
	e.buf = appendUint(e.buf, x)
	e.close(at)
}

// float writes the bytes of a number in reverse: round numbers are short then.
func (e *encoder) float(name string, x float64) {
	e.uint(name, idFloat, bits.ReverseBytes64(math.Float64bits(x)))
}

// time leaves a time that has no binary form, for its odd zone, to gob to refuse.
func (e *encoder) time(t time.Time) bool {
	at := e.open(nameTime, idTime)
	e.buf = append(e.buf, 0)
	start := len(e.buf)
	b, err := t.AppendBinary(e.buf)
	if err != nil {
		return false
	}
	e.buf = b
	e.buf[start-1] = byte(len(b) - start)
	e.close(at)
	return true
}
