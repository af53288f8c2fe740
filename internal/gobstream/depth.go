package gobstream

import (
	"encoding"
	"encoding/gob"
	"reflect"
	"sync"
)

// maxLevels bounds what Walk goes through. It counts generously, since the result is checked
// again: up to three for each of gob's, an interface with a pointer to a struct.
const maxLevels = 3 * maxDepth

// Walk goes through a value as encoding/gob does, and calls held for it and for each value in
// an interface. It returns the first error. Where it is nested too deeply for gob, whose stack
// would overflow, as in a cycle, or has more values than so many, it goes no further, and if
// beyond is not nil, returns that.
func Walk(val any, most int, beyond error, held func(reflect.Value) error) error {
	w := walker{left: most, beyond: beyond, held: held}
	return w.walk(reflect.ValueOf(&val).Elem(), maxLevels)
}

type walker struct {
	left   int
	beyond error
	held   func(reflect.Value) error
}

func (w *walker) walk(v reflect.Value, levels int) error {
	if !v.IsValid() || !nests(v.Type()) {
		return nil
	}
	if w.left--; w.left < 0 || levels == 0 {
		return w.beyond
	}
	levels--
	switch v.Kind() {
	case reflect.Interface:
		if v = v.Elem(); v.IsValid() {
			if err := w.held(v); err != nil {
				return err
			}
		}
		return w.walk(v, levels)
	case reflect.Pointer:
		return w.walk(v.Elem(), levels)
	case reflect.Struct:
		for i, t := 0, v.Type(); i < v.NumField(); i++ {
			if t.Field(i).IsExported() {
				if err := w.walk(v.Field(i), levels); err != nil {
					return err
				}
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := w.walk(v.Index(i), levels); err != nil {
				return err
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if err := w.walk(it.Key(), levels); err != nil {
				return err
			}
			if err := w.walk(it.Value(), levels); err != nil {
				return err
			}
		}
	}
	return nil
}

// nesting remembers the answers of nests, as there are few types and many values.
var nesting sync.Map // reflect.Type to bool

// nests reports whether values of the type can be nested without a limit: the type
// contains an interface, or itself.
func nests(t reflect.Type) bool {
	if known, ok := nesting.Load(t); ok {
		return known.(bool)
	}
	deep := nestsBelow(t, nil)
	nesting.Store(t, deep)
	return deep
}

func nestsBelow(t reflect.Type, above []reflect.Type) bool {
	for _, a := range above {
		if a == t {
			return true
		}
	}
	if EncodesItself(t) {
		return false
	}
	above = append(above, t)
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return nestsBelow(t.Elem(), above)
	case reflect.Map:
		return nestsBelow(t.Key(), above) || nestsBelow(t.Elem(), above)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && nestsBelow(f.Type, above) {
				return true
			}
		}
	}
	return false
}

// selfEncoders are the interfaces by which a type makes its own bytes.
var selfEncoders = []reflect.Type{
	reflect.TypeFor[gob.GobEncoder](), reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.TextMarshaler](),
}

// EncodesItself reports whether the type makes its own bytes, so that gob does not
// look into its values.
func EncodesItself(t reflect.Type) bool {
	if t.Kind() == reflect.Interface {
		return false
	}
	for _, i := range selfEncoders {
		if t.Implements(i) || reflect.PointerTo(t).Implements(i) {
			return true
		}
	}
	return false
}
