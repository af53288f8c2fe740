// Package gobstream turns the data of a session into bytes and back. The bytes
// are an ordinary gob stream of one map[interface{}]interface{}, which any gob
// Decoder reads; only the way there is shorter.
//
// encoding/gob describes every type at the start of every stream, and compiles a decoder
// for it on the other side. For a session of a few values that is most of the work. So
// maps with string keys and common values use a hand-written coder (encode.go,
// decode.go), and a session with anything else is left as a whole to encoding/gob. The two
// agree on every stream.
//
// Stored bytes are not trusted. Before encoding/gob gets to see any, parser.go
// and walk.go follow their structure to the end, because gob allocates what a
// count claims and recurses as deep as the data asks.
package gobstream

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"reflect"
)

// Pair is a key of the session, of a type that can be a map key, and its value. Pairs
// avoid a map on both sides, which would cost more than the coding.
type Pair struct{ Key, Value any }

const (
	// maxDepth bounds how deep values may be nested, in both directions: what is written
	// can be read. It costs gob about 12 MB of stack.
	maxDepth = 10_000
	// maxTypes bounds the types that a stream defines, their fields included.
	maxTypes = 4096
	// maxReach bounds the types that all fields reach, each by itself: see compiles.
	maxReach = 4 * maxTypes
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
	b, err := encodeCommon(pairs)
	if b != nil || err != nil {
		return b, err
	}
	return encodeAny(pairs)
}

// Decode returns the pairs of a stream, in no particular order, each key once.
// The result shares no memory with b. It may be called concurrently.
//
// Streams that no Encoder writes (lengths beyond the end, undefined types, nesting beyond
// 10,000, interfaces whose value does not have the stated length) are an error, never a
// panic, and take memory in proportion to their length at most.
func Decode(b []byte) ([]Pair, error) {
	p := parser{b: b}
	if len(b) <= shareLimit {
		p.s = string(b)
	}
	pairs := p.session()
	if p.err != nil {
		return nil, p.err
	}
	if !p.other {
		return pairs, nil
	}
	// The stream looks sound, and has something uncommon in it.
	if p.odd {
		if err := checkSkipped(b); err != nil {
			return nil, err
		}
	}
	return decodeAny(b, len(pairs))
}

// encodeAny leaves the work to encoding/gob. It recovers, because a session is stored
// where a panic could no longer become an error page.
func encodeAny(pairs []Pair) (b []byte, err error) {
	defer recoverAs(&err)
	m := make(map[any]any, len(pairs))
	for _, p := range pairs {
		m[p.Key] = p.Value // panics on a key that no map can have
		for _, v := range []any{p.Key, p.Value} {
			if err := checkDepth(reflect.ValueOf(v), 2*maxDepth); err != nil {
				return nil, err
			}
		}
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(m); err != nil {
		return nil, err
	}
	// A shorter stream cannot exceed any bound of the parser.
	if buf.Len() > maxName {
		p := parser{b: buf.Bytes(), other: true}
		if p.session(); p.err != nil {
			return nil, fmt.Errorf("the result could not be read back: %w", p.err)
		}
	}
	return buf.Bytes(), nil
}

// decodeAny leaves the work to encoding/gob, which panics on some corrupt
// streams, as the methods of the values may.
func decodeAny(b []byte, size int) (pairs []Pair, err error) {
	defer recoverAs(&err)
	// Given a nil map, gob would make one of whatever size the stream claims.
	m := make(map[any]any, size)
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&m); err != nil {
		return nil, err
	}
	pairs = make([]Pair, 0, len(m))
	for k, v := range m {
		pairs = append(pairs, Pair{k, v})
	}
	return pairs, nil
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
