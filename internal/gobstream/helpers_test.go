package gobstream

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Types of an application, of which gob is told.
type (
	profile struct {
		Name  string
		Age   int
		Tags  []string
		Extra any
		Since time.Time
		Inner address
	}
	address struct {
		City string
		Geo  [2]float64
	}
	// node can be as deep as the data says, at one byte a level.
	node struct {
		Next *node
		V    int
	}
	// shy does not decode or encode itself without trouble.
	shy      struct{ Mood string }
	idType   [16]byte
	stranger struct{ A int } // not registered
)

func (s shy) GobEncode() ([]byte, error) {
	switch s.Mood {
	case "error":
		return nil, errors.New("shy: no")
	case "panic":
		panic("shy: aah")
	}
	return []byte(s.Mood), nil
}

func (s *shy) GobDecode(b []byte) error {
	if string(b) == "trap" {
		panic("shy: aah")
	}
	s.Mood = string(b)
	return nil
}

func (i idType) MarshalBinary() ([]byte, error)  { return i[:], nil }
func (i *idType) UnmarshalBinary(b []byte) error { copy(i[:], b); return nil }

func init() {
	for _, v := range []any{profile{}, &address{}, node{}, shy{}, idType{}, boxed{}, looped{}} {
		gob.Register(v)
	}
}

func toMap(pairs []Pair) map[any]any {
	m := make(map[any]any, len(pairs))
	for _, p := range pairs {
		m[p.Key] = p.Value
	}
	return m
}

// plainEncode and plainDecode are encoding/gob as v1.6.6 uses it, panics turned
// into errors.
func plainEncode(v any) (b []byte, err error) {
	defer recoverAs(&err)
	var buf bytes.Buffer
	err = gob.NewEncoder(&buf).Encode(v)
	return buf.Bytes(), err
}

func plainDecode(b []byte) (map[any]any, error) {
	m := make(map[any]any)
	return m, plainDecodeInto(b, &m)
}

func plainDecodeInto(b []byte, m any) (err error) {
	defer recoverAs(&err)
	return gob.NewDecoder(bytes.NewReader(b)).Decode(m)
}

// checkPairs holds our coder against encoding/gob, in all four combinations. If
// neither can encode the pairs, it returns the two errors.
func checkPairs(t *testing.T, pairs []Pair) (theirErr, ourErr error) {
	t.Helper()
	theirs, theirErr := plainEncode(toMap(pairs))
	ours, ourErr := Encode(pairs)
	if theirErr != nil {
		require.Error(t, ourErr, "gob refuses with: %v", theirErr)
		return theirErr, ourErr
	}
	require.NoError(t, ourErr)

	want, err := plainDecode(theirs)
	require.NoError(t, err)
	byGob, err := plainDecode(ours)
	require.NoError(t, err, "gob cannot read what we wrote: %x", ours)
	require.True(t, same(want, byGob), "gob reads our stream differently:\nwant %#v\ngot  %#v", want, byGob)
	for name, b := range map[string][]byte{"ours": ours, "theirs": theirs} {
		got, err := Decode(b)
		require.NoError(t, err, "stream: %s %x", name, b)
		require.Len(t, got, len(want), "stream: %s", name)
		require.True(t, same(want, toMap(got)), "stream: %s\nwant %#v\ngot  %#v", name, want, got)
	}
	return nil, nil
}

// same is reflect.DeepEqual, but NaN equals NaN.
func same(a, b any) bool { return sameValue(reflect.ValueOf(a), reflect.ValueOf(b)) }

func sameValue(a, b reflect.Value) bool {
	if a.IsValid() != b.IsValid() || !a.IsValid() || a.Type() != b.Type() {
		return !a.IsValid() && !b.IsValid()
	}
	switch a.Kind() {
	case reflect.Float32, reflect.Float64:
		return a.Float() == b.Float() || math.IsNaN(a.Float()) && math.IsNaN(b.Float())
	case reflect.Complex64, reflect.Complex128:
		return fmt.Sprint(a.Complex()) == fmt.Sprint(b.Complex())
	case reflect.Interface, reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() && b.IsNil()
		}
		return sameValue(a.Elem(), b.Elem())
	case reflect.Slice, reflect.Array:
		if a.Kind() == reflect.Slice && a.IsNil() != b.IsNil() || a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !sameValue(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if a.IsNil() != b.IsNil() || a.Len() != b.Len() {
			return false
		}
		for _, k := range a.MapKeys() {
			// A key that is not equal to itself cannot be looked up.
			if k.Equal(k) && !sameValue(a.MapIndex(k), b.MapIndex(k)) {
				return false
			}
		}
		return true
	case reflect.Struct:
		if t, ok := a.Interface().(time.Time); ok {
			return reflect.DeepEqual(t, b.Interface())
		}
		for i := range a.NumField() {
			if !sameValue(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	}
	return a.Equal(b)
}

// allocated returns how many bytes f takes from the heap.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Decode is Open, and decodes all that is raw. The first error is that of the stream.
func Decode(b []byte) ([]Pair, error) {
	pairs, err := Open(b)
	if err != nil {
		return nil, err
	}
	for i := range pairs {
		for _, v := range []*any{&pairs[i].Key, &pairs[i].Value} {
			if r, ok := (*v).(*Raw); ok {
				if *v, err = r.Value(); err != nil {
					return nil, err
				}
			}
		}
	}
	return pairs, nil
}

// encodeCommon returns nil if a pair needs encoding/gob.
func encodeCommon(pairs []Pair) ([]byte, error) {
	e := encoders.Get().(*encoder)
	defer e.free()
	for _, p := range pairs {
		if _, ok := p.Key.(string); !ok || !e.value(p.Value) {
			return nil, nil
		}
	}
	return Encode(pairs)
}

// isFindable reports whether a map finds the key again, which it does not if that is NaN.
func isFindable(key any) bool { return map[any]bool{key: true}[key] }
