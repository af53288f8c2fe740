// Package gobstream turns the data of a session into bytes and back. The bytes
// are an ordinary gob stream of one map[interface{}]interface{}, which any gob
// Decoder reads; only the way there is shorter.
//
// encoding/gob describes every type at the start of every stream, and compiles a decoder
// for it on the other side. For a session of a few values that is most of the work. So
// common values have a hand-written coder (encode.go, decode.go), which agrees with
// encoding/gob on all of them. Any other is a Raw: it stays as it is stored until somebody
// asks for it, and is left to encoding/gob then (warm.go). In a stream of ours it can go
// into the next as it is; one of encoding/gob's is rewritten for that (group.go, rewrite.go).
//
// Stored bytes are not trusted. Before encoding/gob gets to see any, parser.go and walk.go
// follow their structure to the end, because gob allocates what a count claims and recurses
// as deep as the data asks.
package gobstream

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
)

// Pair is a key of the session, of a type that can be a map key, and its value. Pairs
// avoid a map on both sides, which would cost more than the coding.
type Pair struct{ Key, Value any }

const (
	// maxDepth bounds how deep values may be nested, in both directions: what is written
	// can be read. It costs gob about 12 MB of stack.
	maxDepth = 10_000
	// maxTypes bounds the types that a stream defines, their fields included.
	maxTypes = 16 << 10
	// maxReach bounds the types that all fields reach, each by itself: see compiles.
	maxReach = maxTypes
	// maxName is the longest name of a field, in bytes.
	maxName = 1024
	// shareLimit is the longest stream, in bytes, whose strings are all cut from
	// one copy of it. One string kept for long then keeps at most this much alive.
	shareLimit = 1024
	// keepSize is the longest buffer, in bytes, that is kept for the next Encode.
	keepSize = 64 << 10
	// sizeHint caps the entries for which memory is allocated before they are read, where
	// such claims can be nested.
	sizeHint = 16
)

var errTooDeep = fmt.Errorf("values are nested more than %d deep (does one contain itself?)", maxDepth)

// Encode returns the stream of a map with these pairs, whose keys must differ.
// It may be called concurrently, also while other goroutines read the values.
//
// It fails on exactly the values on which encoding/gob fails, with gob's own error: types
// not registered with gob.Register, nil pointers, channels and functions. A plain nil is
// kept. It also fails where gob panics, and on values nested more than 10,000 deep, of
// any types, as in a map that contains itself. Each list, map and struct is a level, and
// so is an interface that holds an interface.
func Encode(pairs []Pair) ([]byte, error) {
	e := encoders.Get().(*encoder)
	defer e.free()
	if err := e.session(pairs); err != nil {
		return nil, err
	}
	b := e.stream()
	// Fewer definitions cannot exceed any bound of the parser.
	if e.groups.size > maxName {
		if _, err := parse(b); err != nil {
			return nil, fmt.Errorf("the result could not be read back: %w", err)
		}
	}
	return b, nil
}

// Open returns the pairs of a stream, in no particular order, each key once. Values that
// only encoding/gob can decode are a *Raw, and so are keys of which it cannot decode the
// type. Those keep b, which must not change; all else shares no memory with it. It may be
// called concurrently.
//
// Streams that no Encoder writes (lengths beyond the end, undefined types, nesting beyond
// 10,000, interfaces whose value does not have the stated length) are an error, never a
// panic, and take memory in proportion to their length at most.
func Open(b []byte) ([]Pair, error) {
	pairs, err := parse(b)
	if err != nil {
		return nil, err
	}
	strings := true
	for i := range pairs {
		if _, ok := pairs[i].Key.(string); ok {
			continue
		}
		strings = false
		// A key that cannot be decoded can be kept, but not looked up.
		if r, ok := pairs[i].Key.(*Raw); ok {
			if key, err := r.decode(); err == nil {
				pairs[i].Key = key
			}
		}
		if err := checkKey(pairs[i].Key); err != nil {
			return nil, err
		}
	}
	// In a map the last one wins. No Encoder writes such a stream.
	if !strings || mayRepeat(pairs) {
		pairs = unique(pairs)
	}
	return pairs, nil
}

// checkKey rejects what no map can have as a key.
func checkKey(key any) error {
	if key != nil && !reflect.ValueOf(key).Comparable() {
		return fmt.Errorf("a key is of the unhashable type %T", key)
	}
	return nil
}

var parsers = sync.Pool{New: func() any { return new(parser) }}

func parse(b []byte) ([]Pair, error) {
	p := parsers.Get().(*parser)
	defer p.free()
	p.b = b
	if len(b) <= shareLimit {
		p.s = string(b)
	}
	pairs := p.session()
	return pairs, p.err
}

// unique keeps the last pair of each key.
func unique(pairs []Pair) []Pair {
	at := make(map[any]int, len(pairs))
	for i := range pairs {
		at[pairs[i].Key] = i
	}
	i := -1
	return slices.DeleteFunc(pairs, func(p Pair) bool {
		i++
		last, ok := at[p.Key]
		return ok && last != i // A key that is not equal to itself is not found.
	})
}

// recoverAs is deferred. It keeps a panic with an error unwrappable.
func recoverAs(err *error) {
	switch r := recover().(type) {
	case nil:
	case error:
		*err = fmt.Errorf("panic: %w", r)
	default:
		*err = fmt.Errorf("panic: %v", r)
	}
}
