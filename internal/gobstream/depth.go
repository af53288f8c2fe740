package gobstream

import (
	"encoding"
	"encoding/gob"
	"reflect"
	"sync"
)

// checkDepth rejects values that would overflow the stack of encoding/gob, which recover
// cannot handle: they are nested too deeply, as in a cycle. It goes where gob goes, and
// counts levels generously, since the result is checked again.
func checkDepth(v reflect.Value, left int) error {
	for range 2 * maxDepth { // Bounds pointers to themselves, which gob refuses.
		if !v.IsValid() || !nests(v.Type()) {
			return nil
		}
		if v.Kind() != reflect.Pointer && v.Kind() != reflect.Interface {
			break
		}
		if v.Kind() == reflect.Interface {
			left--
		}
		if left <= 0 {
			return errTooDeep
		}
		v = v.Elem()
	}
	left--
	if left <= 0 {
		return errTooDeep
	}
	switch v.Kind() {
	case reflect.Struct:
		for i, t := 0, v.Type(); i < v.NumField(); i++ {
			if t.Field(i).IsExported() {
				if err := checkDepth(v.Field(i), left); err != nil {
					return err
				}
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := checkDepth(v.Index(i), left); err != nil {
				return err
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if err := checkDepth(it.Key(), left); err != nil {
				return err
			}
			if err := checkDepth(it.Value(), left); err != nil {
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
