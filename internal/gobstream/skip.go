package gobstream

import (
	"bytes"
	"encoding/gob"
	"reflect"
	"sync"
)

// gob skips a field that the struct of the application lacks, and misreads two things in
// it: nil in a list or map of interfaces, and an interface whose value comes in parts, of
// which it skips the first only. Then it sees counts and depths that walk did not. Both
// are fine in a field that the struct has, and honest sessions hold them. So the few
// streams with such a thing are walked once more, now beside the types of the
// application, and refused if it is in what gob would skip. gob itself would fail on them,
// or return something else than was stored.

var (
	anyType = reflect.TypeFor[any]()
	// skipped stands for the type of a value that gob skips, but not of one in an
	// interface that it skips: there it goes by the length.
	skipped = reflect.TypeFor[struct{}]()
)

// checkSkipped expects a stream of one value that is sound by the types on the wire. It
// may panic.
func checkSkipped(b []byte) error {
	p := parser{b: b, other: true, into: make(map[structInto][]reflect.Type)}
	p.one()
	p.value()
	return p.err
}

// unskippable notes something that gob misreads when it skips it.
func (p *parser) unskippable(t reflect.Type) {
	p.odd = p.odd || p.other
	if p.into != nil && t == skipped {
		p.fail("a field that this program lacks holds what encoding/gob cannot skip")
	}
}

// held returns the type that gob decodes the value of an interface into, if it matters.
func (p *parser) held(name []byte, id int32, t reflect.Type) reflect.Type {
	if p.into == nil || t == nil || t == skipped {
		return nil
	}
	// An array of what is no struct has no fields; its zero could not be made, either.
	end := p.types.find(id)
	for end != nil && end.kind == kindArray {
		end = p.types.find(end.elem)
	}
	if end == nil || end.kind > kindMap {
		return nil
	}
	if known, ok := registered.Load(string(name)); ok {
		return known.(reflect.Type)
	}
	v, err := p.zero(name, id)
	if err != nil {
		// As gob will say of the value itself.
		if p.err == nil {
			p.fail("")
			p.err = err
		}
		return nil
	}
	registered.Store(string(name), reflect.TypeOf(v))
	return reflect.TypeOf(v)
}

// registered are the types that are known to have been registered under a name.
var registered sync.Map // string to reflect.Type

// zero returns a zero value of the type with that name, of which gob tells no other way.
func (p *parser) zero(name []byte, id int32) (v any, err error) {
	var defs, msg []byte
	for _, d := range p.types.defs {
		defs = append(defs, p.b[d.start:d.end]...)
	}
	if d := p.types.find(id); d.kind != kindStruct {
		msg = append(msg, 0)
	}
	msg = p.appendZero(msg, id)
	msg = append(appendUint(nil, uint64(len(msg))), msg...)
	msg = append(appendInt(append(appendUint([]byte{2 * idInterface, 0}, uint64(len(name))), name...), int64(id)), msg...)
	msg = append(appendUint(defs, uint64(len(msg))), msg...)
	return v, gob.NewDecoder(bytes.NewReader(msg)).Decode(&v)
}

// appendZero writes a zero value: no fields, no elements, or, of an array, a zero for
// each. The stream has been walked once, so it is longer.
func (p *parser) appendZero(b []byte, id int32) []byte {
	d := p.types.find(id)
	if d == nil || d.kind != kindArray {
		return append(b, 0)
	}
	b = appendUint(b, uint64(d.length))
	for range d.length {
		b = p.appendZero(b, d.elem)
	}
	return b
}

// base is the type without the pointers to it, which the wire does not have.
func base(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// part returns the type of what is in a list or map of the type.
func part(t reflect.Type, of func(reflect.Type) reflect.Type) reflect.Type {
	if t == nil || t == skipped {
		return t
	}
	return of(base(t))
}

// structInto is a struct on the wire, and the type that gob decodes it into.
type structInto struct {
	id int32
	t  reflect.Type
}

// fieldTypes looks the fields of a struct up as gob does. It returns nil if none matters.
func (p *parser) fieldTypes(d *typeDef, t reflect.Type) []reflect.Type {
	if t == nil {
		return nil
	}
	at := structInto{d.id, t}
	types, ok := p.into[at]
	if !ok {
		types = make([]reflect.Type, len(d.fields))
		for i := range types {
			types[i] = skipped
			if f, ok := base(t).FieldByName(string(d.fields[i].name)); ok && f.IsExported() {
				types[i] = f.Type
			}
		}
		p.into[at] = types
	}
	return types
}
