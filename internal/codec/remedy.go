package codec

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/flamego/session/internal/gobstream"
	"github.com/flamego/session/internal/txn"
)

// mostValues is how many values remedy looks at, so that the error comes soon: one may contain
// itself, in several places.
const mostValues = 100_000

// remedy says what to do about a pair that the encoder refused. It never passes the
// value to gob, since it may contain itself.
func remedy(p txn.Pair) string {
	// The key may be the culprit as well.
	for _, val := range []any{p.Value, p.Key} {
		if err := gobstream.Walk(val, mostValues, nil, refused); err != nil {
			return err.Error()
		}
	}
	return "see the package documentation on value types"
}

// refused returns the remedy for a value in an interface, whose type gob has to know.
func refused(v reflect.Value) error {
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Errorf("gob cannot encode a nil pointer of type %s: store nil as such", v.Type())
	}
	if err := unfit(v.Type()); err != nil {
		return err
	}
	if _, err := roundTrip(v.Type()); err != nil && strings.Contains(err.Error(), "type not registered for interface") {
		return fmt.Errorf("call gob.Register(%s) once at start", literal(v.Type()))
	}
	return nil
}

// unfit says why gob cannot encode any value of the type, registered or not.
func unfit(t reflect.Type) error {
	if gobstream.EncodesItself(t) {
		return nil
	}
	base := t
	for depth := 0; depth < 1000; depth++ {
		switch base.Kind() {
		case reflect.Chan, reflect.Func, reflect.UnsafePointer:
			return fmt.Errorf("gob cannot encode a %s: store something that it can", t)
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			base = base.Elem()
			continue
		case reflect.Struct:
			if base.NumField() == 0 || gobstream.EncodesItself(base) {
				return nil
			}
			for i := range base.NumField() {
				if base.Field(i).IsExported() {
					return nil
				}
			}
			return fmt.Errorf("gob cannot encode a %s: none of its fields is exported", base)
		}
		break
	}
	return nil
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
