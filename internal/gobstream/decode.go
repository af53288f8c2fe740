package gobstream

import (
	"math"
	"math/bits"
	"reflect"
	"slices"
	"time"
)

// session reads the whole stream. If it finds something that only encoding/gob can decode
// (p.other), it still goes on to the end, since gob must not see an unchecked stream; the
// pairs are then invalid.
//
// It ignores what follows the value. A Decoder, too, would leave that for the next call.
func (p *parser) session() []Pair {
	n := p.pairs()
	pairs := make([]Pair, 0, n)
	raw := 0
	for ; n > 0 && p.more(); n-- {
		key := p.stored(&raw)
		pairs = append(pairs, Pair{key, p.stored(&raw)})
	}
	if raw > 0 && p.err == nil {
		p.compiles()
		if p.foreign {
			p.rewrite(pairs)
		}
	}
	return pairs
}

// pairs reads how many there are.
func (p *parser) pairs() int {
	id := p.typeOfValue(false)
	if !p.types.find(id).is(kindMap, idInterface, idInterface) || p.uint() != 0 {
		p.fail("it holds something other than a session")
		return 0
	}
	p.types.front = len(p.types.defs)
	return p.count(2)
}

// stored reads a key or a value, and counts those that are left as they are stored.
func (p *parser) stored(raw *int) any {
	pos, start, defs := p.pos, p.start, len(p.types.defs)
	p.other, p.again, p.odd = false, false, false
	p.startGroups()
	v := p.value()
	if !p.other || p.err != nil {
		return v
	}
	*raw++
	p.foreign = p.foreign || len(p.types.defs) > defs || p.start != start
	if p.again && !p.foreign {
		p.pos = pos
		p.startGroups()
		p.value()
	}
	slices.SortFunc(p.groups, byNumber)
	r := &Raw{body: p.b[pos:p.pos:p.pos], odd: p.odd}
	r.groups = append(r.room[:0], p.groups...)
	return r
}

// mayRepeat expects string keys. Comparing all with all is cheaper than a map, as long as
// there are few.
func mayRepeat(pairs []Pair) bool {
	if len(pairs) > 32 {
		return true
	}
	for i := range pairs {
		key := pairs[i].Key.(string)
		for j := range i {
			if key == pairs[j].Key.(string) {
				return true
			}
		}
	}
	return false
}

// value reads an interface: the name of a type, its number, the length of the
// value, and the value. It returns nil for what it does not know, after noting
// that.
func (p *parser) value() any { return p.valueInto(anyType) }

// valueInto does so for an interface that gob decodes into one of the type.
func (p *parser) valueInto(t reflect.Type) any {
	name := p.bytes()
	if len(name) == 0 {
		p.unskippable(t)
		return nil
	}
	at := p.pos
	id := p.typeOfValue(true)
	outer := p.limit
	p.startOfPart()
	if p.rw != nil {
		at = p.rw.open(p, at, id)
	}
	v := p.named(name, id, t)
	// gob uses the length to skip what it does not need, so the length must be right.
	p.endOfPart()
	if p.rw != nil {
		p.rw.close(p, at)
	}
	p.limit = outer
	return v
}

// named reads the value of an interface.
func (p *parser) named(name []byte, id int32, t reflect.Type) any {
	if !p.other {
		start := p.pos
		if v, ok := p.common(name, id); ok {
			p.again = p.again || p.other
			return v
		}
		if p.err != nil {
			return nil
		}
		// Everything that is not ok is in one message, so going back is safe.
		p.pos, p.other = start, true
	}
	p.uses(id)
	p.walkWhole(id, p.held(name, id, t))
	return nil
}

// common decodes a value of the types that encoder.value knows. It is not ok if
// the type on the wire is not the one that goes with the name, or the value is
// out of range: gob then says what is wrong.
func (p *parser) common(name []byte, id int32) (v any, ok bool) {
	if p.uint() != 0 {
		return nil, false
	}
	switch id {
	case idString:
		if string(name) == "string" {
			return p.string(), true
		}
	case idBool:
		if string(name) == "bool" {
			return p.uint() != 0, true
		}
	case idInt:
		return intNamed(name, p.int())
	case idUint:
		return uintNamed(name, p.uint())
	case idFloat:
		return floatNamed(name, math.Float64frombits(bits.ReverseBytes64(p.uint())))
	case idBytes:
		if string(name) == "[]uint8" {
			// A copy, as the caller may write to it; nil if empty, like gob.
			return append([]byte(nil), p.bytes()...), true
		}
	default:
		return p.compound(name, p.types.find(id))
	}
	return nil, false
}

// intNamed returns the number as the type with this name.
func intNamed(name []byte, x int64) (v any, ok bool) {
	// A conversion in a switch does not allocate.
	switch string(name) {
	case "int":
		return int(x), x == int64(int(x))
	case "int8":
		return int8(x), x == int64(int8(x))
	case "int16":
		return int16(x), x == int64(int16(x))
	case "int32":
		return int32(x), x == int64(int32(x))
	case "int64":
		return x, true
	case "time.Duration":
		return time.Duration(x), true
	}
	return nil, false
}

// uintNamed does the same for unsigned numbers.
func uintNamed(name []byte, x uint64) (v any, ok bool) {
	switch string(name) {
	case "uint":
		return uint(x), x == uint64(uint(x))
	case "uint8":
		return uint8(x), x == uint64(uint8(x))
	case "uint16":
		return uint16(x), x == uint64(uint16(x))
	case "uint32":
		return uint32(x), x == uint64(uint32(x))
	case "uint64":
		return x, true
	}
	return nil, false
}

// floatNamed rejects numbers between a float32's largest value and its infinities.
func floatNamed(name []byte, x float64) (v any, ok bool) {
	switch string(name) {
	case "float64":
		return x, true
	case "float32":
		return float32(x), !(math.Abs(x) > math.MaxFloat32) || math.IsInf(x, 0)
	}
	return nil, false
}
