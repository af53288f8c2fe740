package gobstream

// walk steps over a value that only encoding/gob can decode, to see that gob
// may safely be given the stream. It goes by the types on the wire alone: gob
// compares them with those of the values before it starts.
//
// One gap remains. gob misreads two things in a field that a struct of the
// application does not have: a nil interface in a list, and an interface whose
// value comes in parts, of which it skips the first only. Only the types of the
// application tell where such a field is. Someone who can forge records could so
// still lead gob to a count, or a depth, that walk never saw.
func (p *parser) walk(id int32) {
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
		p.value()
	default:
		p.walkDefined(id)
	}
}

// walkWhole steps over a value that stands for itself, not in another: a zero
// precedes it if it is no struct.
func (p *parser) walkWhole(id int32) {
	if d := p.types.find(id); (d == nil || d.kind != kindStruct) && p.uint() != 0 {
		p.fail("a value does not start with zero")
		return
	}
	// Every way that leads deeper goes through a defined type, but for this one: an
	// interface can hold an interface at five bytes a level.
	if id != idInterface {
		p.walk(id)
	} else if p.deeper() {
		p.walk(id)
		p.depth--
	}
}

// walkDefined counts each value of a defined type as a level, whether or not it
// can hold others.
func (p *parser) walkDefined(id int32) {
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
		p.walkElems(n, d.elem)
	case kindSlice:
		p.walkElems(p.count(1), d.elem)
	case kindMap:
		// gob makes room for the pairs before it sees them.
		for n := p.count(2); n > 0 && p.more(); n-- {
			p.walk(d.key)
			p.walk(d.elem)
		}
	case kindStruct:
		// Zero fields are left out, so these need not be all.
		for f := -1; p.field(&f, len(d.fields)); {
			p.walk(d.fields[f])
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
func (p *parser) walkElems(n int, elem int32) {
	for ; n > 0 && p.more(); n-- {
		p.walk(elem)
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
