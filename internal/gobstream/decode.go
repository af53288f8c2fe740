package gobstream

import (
	"math"
	"math/bits"
	"time"
)

// session reads the whole stream. What follows the map is not looked at, as a
// Decoder would leave it for the next call.
func (p *parser) session() []Pair {
	id := p.typeOfValue(false)
	if !p.types.find(id).is(kindMap, idInterface, idInterface) || p.uint() != 0 {
		p.fail("it holds something other than a session")
		return nil
	}
	n := p.count(2)
	pairs := make([]Pair, 0, n)
	for ; n > 0 && p.more(); n-- {
		pair := Pair{Key: p.value()}
		if _, ok := pair.Key.(string); !ok {
			p.other = true
		}
		pair.Value = p.value()
		pairs = append(pairs, pair)
	}
	if !p.other && hasDuplicates(pairs) {
		p.other = true
	}
	return pairs
}

// hasDuplicates expects keys that are strings.
func hasDuplicates(pairs []Pair) bool {
	if len(pairs) > 32 {
		seen := make(map[any]struct{}, len(pairs))
		for i := range pairs {
			seen[pairs[i].Key] = struct{}{}
		}
		return len(seen) < len(pairs)
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

// value reads an interface: the name of a type, its number, a length that
// matters only to those who skip the value, and the value.
func (p *parser) value() any {
	name := p.bytes()
	if len(name) == 0 {
		return nil
	}
	id := p.typeOfValue(true)
	p.uint()
	if !p.other {
		start := p.pos
		if v, ok := p.common(name, id); ok {
			return v
		}
		if p.err != nil {
			return nil
		}
		// Not known, or out of range, which gob will say.
		p.pos, p.other = start, true
	}
	p.walkWhole(id)
	return nil
}

// common decodes a value of the types that encoder.value knows. The type on the
// wire must be the one that goes with the name.
func (p *parser) common(name []byte, id int32) (any, bool) {
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
			return append([]byte(nil), p.bytes()...), true
		}
	default:
		return p.compound(name, p.types.find(id))
	}
	return nil, false
}

func intNamed(name []byte, x int64) (any, bool) {
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

func uintNamed(name []byte, x uint64) (any, bool) {
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

// floatNamed leaves to gob the float64 that have no float32 near them.
func floatNamed(name []byte, x float64) (any, bool) {
	switch string(name) {
	case "float64":
		return x, true
	case "float32":
		tooBig := math.Abs(x) > math.MaxFloat32 && !math.IsInf(x, 0)
		return float32(x), !tooBig
	}
	return nil, false
}

func (p *parser) compound(name []byte, d *typeDef) (any, bool) {
	switch string(name) {
	case nameTime:
		if !d.is(kindGobEncoder, 0, 0) {
			return nil, false
		}
		var t time.Time
		err := t.GobDecode(p.bytes())
		return t, err == nil
	case nameStrings:
		if d.is(kindSlice, 0, idString) {
			return p.strings(), true
		}
	case nameInts:
		if d.is(kindSlice, 0, idInt) {
			return p.ints()
		}
	case nameStringMap:
		if d.is(kindMap, idString, idString) {
			return p.stringMap(), true
		}
	case nameList:
		if d.is(kindSlice, 0, idInterface) && p.deeper() {
			v := p.list()
			p.depth--
			return v, true
		}
	case nameAnyMap:
		if d.is(kindMap, idString, idInterface) && p.deeper() {
			v := p.anyMap()
			p.depth--
			return v, true
		}
	}
	return nil, false
}

// Empty slices decode to nil, empty maps do not, as with gob.

func (p *parser) strings() (v []string) {
	n := p.count(1)
	if n > 0 {
		v = make([]string, 0, n)
	}
	for ; n > 0 && p.more(); n-- {
		v = append(v, p.string())
	}
	return v
}

// ints reports whether each fits an int, which depends on the machine.
func (p *parser) ints() (v []int, ok bool) {
	n := p.count(1)
	if n > 0 {
		v = make([]int, 0, n)
	}
	for ; n > 0 && p.more(); n-- {
		x := p.int()
		if x != int64(int(x)) {
			return nil, false
		}
		v = append(v, int(x))
	}
	return v, true
}

func (p *parser) stringMap() map[string]string {
	n := p.count(2)
	v := make(map[string]string, n)
	for ; n > 0 && p.more(); n-- {
		k := p.string()
		v[k] = p.string()
	}
	return v
}

func (p *parser) list() (v []any) {
	n := p.count(1)
	if n > 0 {
		v = make([]any, 0, min(n, sizeHint))
	}
	for ; n > 0 && p.more(); n-- {
		v = append(v, p.value())
	}
	return v
}

func (p *parser) anyMap() map[string]any {
	n := p.count(2)
	v := make(map[string]any, min(n, sizeHint))
	for ; n > 0 && p.more(); n-- {
		k := p.string()
		v[k] = p.value()
	}
	return v
}
