package gobstream

import "time"

// compound writes the types that need a definition, of which it notes the use.
// Beyond these few it would have to know the type of the elements at run time,
// which is what encoding/gob is for. Zero values are written out, and nil slices
// and maps as empty ones, as gob does for anything inside an interface.
func (e *encoder) compound(v any) bool {
	switch v := v.(type) {
	case time.Time:
		return e.time(v)
	case []string:
		at := e.openMany(nameStrings, idStrings, len(v))
		for _, s := range v {
			e.string(s)
		}
		e.close(at)
	case []int:
		at := e.openMany(nameInts, idInts, len(v))
		for _, x := range v {
			e.buf = appendInt(e.buf, int64(x))
		}
		e.close(at)
	case map[string]string:
		at := e.openMany(nameStringMap, idStringMap, len(v))
		for k, s := range v {
			e.string(k)
			e.string(s)
		}
		e.close(at)
	case []any:
		// Elements may be anything, so all that was written may yet be in vain.
		at := e.openMany(nameList, idList, len(v))
		if !e.deeper() {
			return false
		}
		for _, x := range v {
			if !e.value(x) {
				return false
			}
		}
		e.depth--
		e.close(at)
	case map[string]any:
		at := e.openMany(nameAnyMap, idAnyMap, len(v))
		if !e.deeper() {
			return false
		}
		for k, x := range v {
			e.string(k)
			if !e.value(x) {
				return false
			}
		}
		e.depth--
		e.close(at)
	default:
		return false
	}
	return true
}

// openMany starts a value that begins with the number of its elements.
func (e *encoder) openMany(name string, id int64, n int) (at int) {
	at = e.open(name, id)
	e.buf = appendUint(e.buf, uint64(n))
	return at
}

// deeper counts a level that can hold further ones, of which it allows one less
// than the decoder, for the value in the innermost. When it refuses it leaves
// the count at the bound, which tells this refusal from the others.
func (e *encoder) deeper() bool {
	e.depth++
	return e.depth < maxDepth
}

// time writes the binary form of a time, which takes 15 or 16 bytes. A time
// that has none, for its odd zone, is left to gob to refuse.
func (e *encoder) time(t time.Time) bool {
	at := e.open(nameTime, idTime)
	e.buf = append(e.buf, 0) // becomes its length
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

// compound reads what encoder.compound writes, if the type on the wire is the
// one that goes with the name. d is nil when the stream does not define it.
func (p *parser) compound(name []byte, d *typeDef) (any, bool) {
	switch string(name) {
	case nameTime:
		if d.is(kindGobEncoder, 0, 0) {
			// The very method that gob calls, so the zone comes out the same.
			var t time.Time
			err := t.GobDecode(p.bytes())
			return t, err == nil
		}
	case nameStrings:
		if d.is(kindSlice, 0, idString) {
			return sliceOf(p, allOfThem, (*parser).string), true
		}
	case nameInts:
		if d.is(kindSlice, 0, idInt) {
			return sliceOf(p, allOfThem, (*parser).machineInt), true
		}
	case nameStringMap:
		if d.is(kindMap, idString, idString) {
			return mapOf(p, allOfThem, (*parser).string), true
		}
	case nameList:
		// Lists and maps of anything bring further messages, and further depth.
		if d.is(kindSlice, 0, idInterface) && p.deeper() {
			v := sliceOf(p, sizeHint, (*parser).value)
			p.depth--
			return v, true
		}
	case nameAnyMap:
		if d.is(kindMap, idString, idInterface) && p.deeper() {
			v := mapOf(p, sizeHint, (*parser).value)
			p.depth--
			return v, true
		}
	}
	return nil, false
}

// allOfThem, in place of sizeHint, takes the claimed count for true. That is
// safe where elements hold no others: one such lie ends the decoding.
const allOfThem = 1<<31 - 1

// sliceOf returns nil if there are no elements, like gob.
func sliceOf[T any](p *parser, hint int, elem func(*parser) T) (v []T) {
	n := p.count(1)
	if n > 0 {
		v = make([]T, 0, min(n, hint))
	}
	for ; n > 0 && p.more(); n-- {
		v = append(v, elem(p))
	}
	return v
}

// mapOf returns an empty map if there are no elements, like gob.
func mapOf[T any](p *parser, hint int, elem func(*parser) T) map[string]T {
	n := p.count(2)
	v := make(map[string]T, min(n, hint))
	for ; n > 0 && p.more(); n-- {
		key := p.string()
		v[key] = elem(p)
	}
	return v
}

// machineInt leaves it to gob to refuse what does not fit an int on a 32-bit
// machine.
func (p *parser) machineInt() int {
	x := p.int()
	if x != int64(int(x)) {
		p.other = true
	}
	return int(x)
}
