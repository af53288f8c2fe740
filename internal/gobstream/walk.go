package gobstream

import "reflect"

// walk steps over a value that only encoding/gob can decode, to see that gob
// may safely be given the stream. It goes by the types on the wire: gob
// compares them with those of the values before it starts. t is the type into
// which gob decodes the value, as far as that matters: see skip.go.
func (p *parser) walk(id int32, t reflect.Type) {
	switch id {
	// What is built in comes without a definition.
	case idBool, idInt, idUint, idFloat:
		p.uint()
	case idComplex:
		p.uint()
		p.uint()
	case idBytes, idString:
		p.bytes()
	case idInterface:
		p.valueInto(t)
	default:
		p.walkDefined(id, t)
	}
}

// walkWhole steps over a value that stands for itself, not in another: a zero
// precedes it if it is no struct.
func (p *parser) walkWhole(id int32, t reflect.Type) {
	if d := p.types.find(id); (d == nil || d.kind != kindStruct) && p.uint() != 0 {
		p.fail("a value does not start with zero")
		return
	}
	// Every way that leads deeper goes through a defined type, but for this one: an
	// interface can hold an interface at five bytes a level.
	if id != idInterface {
		p.walk(id, t)
	} else if p.deeper() {
		p.walk(id, t)
		p.depth--
	}
}

// walkDefined counts each value of a defined type as a level, whether or not it
// can hold others.
func (p *parser) walkDefined(id int32, t reflect.Type) {
	d := p.types.find(id)
	if d == nil {
		p.fail("a type is not defined")
		return
	}
	if !p.deeper() {
		return
	}
	switch d.kind {
	case kindArray:
		// The length is in the type, and once more here.
		n := p.count(1)
		if int64(n) != d.length {
			p.fail("an array is of another length than its type")
		}
		p.walkElems(n, d.elem, part(t, reflect.Type.Elem))
	case kindSlice:
		p.walkElems(p.count(1), d.elem, part(t, reflect.Type.Elem))
	case kindMap:
		key, elem := part(t, reflect.Type.Key), part(t, reflect.Type.Elem)
		// gob makes room for the pairs before it sees them.
		for n := p.count(2); n > 0 && p.more(); n-- {
			p.walk(d.key, key)
			p.walk(d.elem, elem)
		}
	case kindStruct:
		types := p.fieldTypes(d, t)
		// Zero fields are left out, so these need not be all.
		for f := -1; p.field(&f, len(d.fields)); {
			if types != nil {
				t = types[f]
			}
			p.walk(d.fields[f].id, t)
		}
	case kindGobEncoder, kindBinaryMarshaler, kindTextMarshaler:
		// What the bytes do to the type's own method is that method's business.
		p.bytes()
	default:
		p.fail("a type is of no kind")
	}
	p.depth--
}

// walkElems steps over the elements of an array or a slice.
func (p *parser) walkElems(n int, elem int32, t reflect.Type) {
	for ; n > 0 && p.more(); n-- {
		p.walk(elem, t)
	}
}

// more fails when elements are still to come but the message is over: gob would
// go on counting empty structs.
func (p *parser) more() bool {
	if p.pos >= p.end {
		p.fail("it ends too early")
	}
	return p.err == nil
}

// deeper enters a value that can hold others. The caller leaves it by counting
// depth down.
func (p *parser) deeper() bool {
	p.depth++
	if p.depth > maxDepth {
		if p.err == nil {
			p.err = errTooDeep
		}
		p.fail("")
	}
	return p.err == nil
}
