package codec

import (
	"encoding/gob"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/flamego/session/internal/gobstream"
	"github.com/flamego/session/internal/txn"
)

// remedy says what to do about a pair that the encoder refused. It never passes the
// value to gob, since it may contain itself.
func remedy(p txn.Pair) string {
	f := finder{left: 100_000, seen: make(map[visit]bool)}
	// The key may be the culprit as well.
	for _, v := range []any{p.Value, p.Key} {
		if v == nil {
			continue
		}
		if found := f.held(reflect.ValueOf(v), 0); found != "" {
			return found
		}
	}
	return "see the package documentation on value types"
}

// finder looks through a value for what gob cannot encode.
type finder struct {
	left int            // values still to look at, so that the error comes soon
	seen map[visit]bool // a value may contain itself
}

// visit is a place in memory, seen as of one type.
type visit struct {
	at  uintptr
	len int // of a slice, which may be a part of another
	t   reflect.Type
}

// findDepth is how deep a finder goes.
const findDepth = 1000

// held looks at a value in an interface, whose type gob has to know. It returns the
// remedy, or "".
func (f *finder) held(v reflect.Value, depth int) string {
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Sprintf("gob cannot encode a nil pointer of type %s: store nil as such", v.Type())
	}
	if found := unfit(v.Type()); found != "" {
		return found
	}
	if !registered(v.Type()) {
		return fmt.Sprintf("call gob.Register(%s) once at start", literal(v.Type()))
	}
	return f.inside(v, depth)
}

// inside looks at the parts of a value.
func (f *finder) inside(v reflect.Value, depth int) string {
	f.left--
	if f.left < 0 || depth > findDepth || gobstream.EncodesItself(v.Type()) {
		return ""
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if v.IsNil() {
			return ""
		}
		here := visit{at: v.Pointer(), t: v.Type()}
		if v.Kind() == reflect.Slice {
			here.len = v.Len()
		}
		if f.seen[here] {
			return ""
		}
		f.seen[here] = true
	}
	found := ""
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			found = f.held(v.Elem(), depth+1)
		}
	case reflect.Pointer:
		found = f.inside(v.Elem(), depth+1)
	case reflect.Map:
		for it := v.MapRange(); found == "" && it.Next(); {
			if found = f.inside(it.Key(), depth+1); found == "" {
				found = f.inside(it.Value(), depth+1)
			}
		}
	case reflect.Slice, reflect.Array:
		switch v.Type().Elem().Kind() {
		case reflect.Interface, reflect.Pointer, reflect.Map, reflect.Slice, reflect.Array, reflect.Struct:
			for i := 0; found == "" && i < v.Len(); i++ {
				found = f.inside(v.Index(i), depth+1)
			}
		}
	case reflect.Struct:
		// gob skips the other fields.
		for i := 0; found == "" && i < v.NumField(); i++ {
			if v.Type().Field(i).IsExported() {
				found = f.inside(v.Field(i), depth+1)
			}
		}
	}
	return found
}

// unfit says why gob cannot encode any value of the type, registered or not.
func unfit(t reflect.Type) string {
	if gobstream.EncodesItself(t) {
		return ""
	}
	base := t
	for depth := 0; depth < findDepth; depth++ {
		switch base.Kind() {
		case reflect.Chan, reflect.Func, reflect.UnsafePointer:
			return fmt.Sprintf("gob cannot encode a %s: store something that it can", t)
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			base = base.Elem()
			continue
		case reflect.Struct:
			if base.NumField() == 0 || gobstream.EncodesItself(base) {
				return ""
			}
			for i := range base.NumField() {
				if base.Field(i).IsExported() {
					return ""
				}
			}
			return fmt.Sprintf("gob cannot encode a %s: none of its fields is exported", base)
		}
		break
	}
	return ""
}

// registered reports whether the type is registered with gob, by encoding a zero value.
func registered(t reflect.Type) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = true // Its own method panicked on the zero value, so gob knows the type.
		}
	}()
	v := reflect.New(t).Elem()
	for at := v; at.Kind() == reflect.Pointer && at.Type() != at.Type().Elem(); at = at.Elem() {
		at.Set(reflect.New(at.Type().Elem()))
	}
	err := gob.NewEncoder(io.Discard).Encode(struct{ V any }{v.Interface()})
	return err == nil || !strings.Contains(err.Error(), "type not registered for interface")
}

// literal returns an expression of the type, for the advice to register it.
func literal(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return "&" + t.Elem().String() + "{}"
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Array:
		return t.String() + "{}"
	case reflect.String:
		return t.String() + `("")`
	case reflect.Bool:
		return t.String() + "(false)"
	default:
		return t.String() + "(0)"
	}
}
