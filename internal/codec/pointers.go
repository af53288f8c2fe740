package codec

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"math"
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

// comesBack looks at a value, and at all those in interfaces in it.
func comesBack(val any) error {
	switch val.(type) {
	case nil, bool, string, int, int64, uint64, float64, []byte, *gobstream.Raw:
		return nil
	}
	return gobstream.Walk(val, math.MaxInt, nil, func(v reflect.Value) error {
		if as := comesBackAs(v.Type()); as != nil && as != v.Type() {
			return &changedType{v.Type(), as}
		}
		return nil
	})
}

var fates sync.Map // reflect.Type of what comes back, by reflect.Type

// comesBackAs returns the type that a value of a type comes back as, or nil if none does: the
// type is not registered, or its own methods refuse a zero value. It finds out once for each
// type, as what is registered stays registered.
func comesBackAs(t reflect.Type) reflect.Type {
	if as, ok := fates.Load(t); ok {
		return as.(reflect.Type)
	}
	as, _ := roundTrip(t)
	if as != nil {
		fates.Store(t, as)
	}
	return as
}

// roundTrip stores a zero value, and returns the type that comes back.
func roundTrip(t reflect.Type) (as reflect.Type, err error) {
	defer func() { _ = recover() }() // Its own methods may panic.
	v := reflect.New(t).Elem()
	for at := v; at.Kind() == reflect.Pointer && at.Type() != at.Type().Elem(); at = at.Elem() {
		at.Set(reflect.New(at.Type().Elem()))
	}
	var b bytes.Buffer
	var back struct{ V any }
	if err = gob.NewEncoder(&b).Encode(struct{ V any }{v.Interface()}); err == nil {
		err = gob.NewDecoder(&b).Decode(&back)
	}
	return reflect.TypeOf(back.V), err
}
