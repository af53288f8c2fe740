package codec

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"reflect"
	"sync"

	"github.com/flamego/session/internal/gobstream"
	"github.com/flamego/session/internal/txn"
)

// gob has one name for a type and all pointers to it, and what is in an interface comes back
// as that of them which was registered. So a handler that sets a *T where T{} is registered
// finds a T with the next request: not before it is deployed, if it was written with the
// memory store, and without an error. Such values are refused.

// changedType is the error for a value that would come back as another type.
type changedType struct{ from, to reflect.Type }

func (e *changedType) Error() string {
	return fmt.Sprintf("a %s would come back as a %s", e.from, e.to)
}

// remedy says what to do about it.
func (e *changedType) remedy() string {
	if e.from.Kind() != reflect.Pointer {
		return fmt.Sprintf("set a %s, or register %s instead of the pointer, on all servers", e.to, literal(e.from))
	}
	base := e.from
	for base.Kind() == reflect.Pointer {
		base = base.Elem()
	}
	if e.to == base && base.PkgPath() != "" && base.PkgPath() != "time" && base.PkgPath() != "net/url" {
		return fmt.Sprintf("set the %s that it points to, or call gob.Register(%s) instead of gob.Register(%s), on all servers", e.to, literal(e.from), literal(e.to))
	}
	return fmt.Sprintf("set the %s that it points to", e.to)
}

// comeBack returns a changedType if any of the values would not come back as what it is. gob
// must have encoded them: so none contains itself.
func comeBack(pairs []txn.Pair) error {
	for _, p := range pairs {
		for _, val := range []any{p.Key, p.Value} {
			if err := comesBack(val); err != nil {
				return err
			}
		}
	}
	return nil
}

// comesBack looks at a value in an interface.
func comesBack(val any) error {
	switch val := val.(type) {
	case nil, bool, string, int, int64, uint64, float64, []byte, *gobstream.Raw:
		return nil
	case map[string]any:
		for _, elem := range val {
			if err := comesBack(elem); err != nil {
				return err
			}
		}
		return nil
	case []any:
		for _, elem := range val {
			if err := comesBack(elem); err != nil {
				return err
			}
		}
		return nil
	}
	return held(reflect.ValueOf(val))
}

// held is comesBack for a value of any type.
func held(v reflect.Value) error {
	f := fateOf(v.Type())
	if f.as != nil && f.as != v.Type() {
		return &changedType{v.Type(), f.as}
	}
	if f.holds {
		return within(v)
	}
	return nil
}

// within looks at the interfaces in a value.
func within(v reflect.Value) error {
	switch t := v.Type(); v.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return comesBack(v.Elem().Interface())
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return within(v.Elem())
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			for _, part := range []reflect.Value{it.Key(), it.Value()} {
				if !holds(part.Type()) {
					continue
				}
				if err := within(part); err != nil {
					return err
				}
			}
		}
	case reflect.Slice, reflect.Array:
		for i := 0; holds(t.Elem()) && i < v.Len(); i++ {
			if err := within(v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); !f.IsExported() || !holds(f.Type) {
				continue
			}
			if err := within(v.Field(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// fate is what becomes of the values of a type.
type fate struct {
	as    reflect.Type // what they come back as, nil if that is not known
	holds bool         // there may be interfaces in them
}

var fates sync.Map // of fate, by reflect.Type

// fateOf finds out once for each type. What is registered stays registered.
func fateOf(t reflect.Type) fate {
	if f, ok := fates.Load(t); ok {
		return f.(fate)
	}
	f := fate{as: comesBackAs(t), holds: holds(t)}
	if f.as != nil {
		fates.Store(t, f)
	}
	return f
}

// comesBackAs stores a zero value, and returns the type that comes back, or nil if none
// does: the type is not registered, or its own methods refuse a zero value.
func comesBackAs(t reflect.Type) (as reflect.Type) {
	defer func() { _ = recover() }() // Those methods may panic.
	v := reflect.New(t).Elem()
	for at := v; at.Kind() == reflect.Pointer && at.Type() != at.Type().Elem(); at = at.Elem() {
		at.Set(reflect.New(at.Type().Elem()))
	}
	var b bytes.Buffer
	var back struct{ V any }
	if gob.NewEncoder(&b).Encode(struct{ V any }{v.Interface()}) != nil || gob.NewDecoder(&b).Decode(&back) != nil {
		return nil
	}
	return reflect.TypeOf(back.V)
}

var holding sync.Map // of bool, by reflect.Type

// holds reports whether there may be interfaces in the values of a type.
func holds(t reflect.Type) bool {
	if known, ok := holding.Load(t); ok {
		return known.(bool)
	}
	found := search(t, make(map[reflect.Type]bool))
	holding.Store(t, found)
	return found
}

func search(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] || gobstream.EncodesItself(t) {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Map:
		return search(t.Key(), seen) || search(t.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return search(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && search(f.Type, seen) {
				return true
			}
		}
	}
	return false
}
