package app

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/flamego/session"
)

// Profile is a type of the application's own, with what such types are made of.
type Profile struct {
	Name    string
	Roles   []Role
	Address *Address
	Extra   map[string]any
	Since   time.Time
	private int // not stored
}

// Address is a part of a Profile.
type Address struct{ City string }

// Role is a basic type with a name.
type Role string

// Token encodes itself, as UUIDs and the like do.
type Token [4]byte

// MarshalBinary implements encoding.BinaryMarshaler.
func (t Token) MarshalBinary() ([]byte, error) { return append([]byte("token:"), t[:]...), nil }

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (t *Token) UnmarshalBinary(b []byte) error {
	if copy(t[:], bytes.TrimPrefix(b, []byte("token:"))) != len(t) {
		return errors.New("not a token")
	}
	return nil
}

// Comment is a type that holds itself.
type Comment struct {
	Text    string
	Replies []*Comment
}

// Point is a struct for keys.
type Point struct{ X, Y int }

// Key is a type for keys.
type Key int

// Register makes types known to gob, once. With v1.6.6 an application registers
// everything but Go's own basic types.
func Register() {
	for _, v := range []any{
		time.Time{}, time.Duration(0), map[string]string{}, map[string]any{}, []any{},
		map[interface{}]interface{}{}, map[int]Role{}, [3]string{}, []Profile{},
		Profile{}, &Address{}, Role(""), Key(0), Token{}, &Comment{}, Point{}, net.IP{}, &big.Int{}, &url.URL{},
	} {
		gob.Register(v)
	}
}

var (
	day  = time.Date(2024, 2, 29, 23, 59, 58, 123456789, time.UTC)
	zone = time.FixedZone("", -(3*3600 + 30*60))
)

// values are what a session is filled with. got is what comes back, where that
// is something else, as with pointers to types that were registered without.
var values = []struct{ key, set, got any }{
	{key: "string", set: "text, Größe, 文\x00"},
	{key: "empty string", set: ""},
	{key: "int", set: -42},
	{key: "int8", set: int8(-128)},
	{key: "int16", set: int16(-32768)},
	{key: "int32", set: int32(1 << 30)},
	{key: "int64", set: int64(-1 << 63)},
	{key: "uint", set: uint(7)},
	{key: "uint8", set: uint8(255)},
	{key: "uint16", set: uint16(65535)},
	{key: "uint32", set: uint32(1 << 31)},
	{key: "uint64", set: uint64(1<<64 - 1)},
	{key: "true", set: true},
	{key: "false", set: false},
	{key: "float64", set: -1.5e300},
	{key: "float32", set: float32(0.1)},
	{key: "complex", set: complex(1, -2)},
	{key: "time", set: day},
	{key: "time in a zone", set: day.In(zone)},
	{key: "zero time", set: time.Time{}},
	{key: "duration", set: 90 * time.Second},
	{key: "bytes", set: []byte("\x00\xffbytes")},
	{key: "strings", set: []string{"a", "", "c"}},
	{key: "ints", set: []int{1, -1, 1 << 40}},
	{key: "string map", set: map[string]string{"a": "b", "": "c"}},
	{key: "any map", set: map[string]any{"n": 1, "list": []any{"x", 2.5, []string{"y"}}, "at": day}},
	{key: "list", set: []any{1, "two", 3 * time.Second, map[string]string{"k": "v"}}},
	{key: "role map", set: map[int]Role{1: "admin", -1: "none"}},
	{key: "role", set: Role("editor")},
	{key: "array", set: [3]string{"a", "", "c"}},
	{key: "map of any keys", set: map[interface{}]interface{}{1: "a", "b": int8(2), Role("c"): []any{3}}},
	{key: "encodes itself", set: Token{1, 2, 0, 255}},
	{key: "address", set: net.IPv4(127, 0, 0, 1)},
	{key: "large number", set: new(big.Int).Lsh(big.NewInt(-3), 200)},
	{key: "url", set: &url.URL{Scheme: "https", Host: "example.com", Path: "/a b", RawQuery: "q=1"}},
	{key: "recursive", set: &Comment{Text: "a", Replies: []*Comment{{Text: "b"}, {Text: "c", Replies: []*Comment{{Text: "d"}}}}}},
	{key: "profiles", set: []Profile{stored("eve"), {}}},
	{key: "profile", set: profile("ann"), got: stored("ann")},
	{key: "pointer", set: &Address{City: "Oslo"}},
	{key: "pointer to a plain type", set: new(profile("bob")), got: stored("bob")},
	{key: 7, set: "int key"},
	{key: int64(7), set: "int64 key"},
	{key: Key(7), set: "own key"},
	{key: Point{1, -2}, set: "struct key"},
	{key: true, set: 1},
	{key: 2.5, set: "float key"},
	// What goes into the BLOB that v1.6.6 makes in MySQL.
	{key: "text of 50 kB", set: strings.Repeat("0123456789", 5_000)},
}

func profile(name string) Profile {
	p := stored(name)
	p.private = 1
	return p
}

func stored(name string) Profile {
	return Profile{
		Name: name, Roles: []Role{"admin", "editor"}, Address: &Address{City: "Rome"},
		Extra: map[string]any{"age": 30, "role": Role("owner")}, Since: day,
	}
}

// Legacy says that v1.6.6 runs, which stores what comes back as another type.
var Legacy bool

func fill(s session.Session) {
	for _, v := range values {
		if v.got != nil && !Legacy { // The other one returns an error.
			v.set = v.got
		}
		s.Set(v.key, v.set)
	}
}

// check tells which values are not there as they were set.
func check(s session.Session) string {
	var wrong []string
	for _, v := range values {
		want := v.set
		if v.got != nil {
			want = v.got
		}
		if got := s.Get(v.key); !same(got, want) {
			wrong = append(wrong, fmt.Sprintf("%v: want %T %.100v, got %T %.100v", v.key, want, want, got, got))
		}
	}
	if len(wrong) > 0 {
		return strings.Join(wrong, "\n")
	}
	return "all there"
}

// same compares times by what gob keeps of them: the moment and the offset.
func same(a, b any) bool {
	if at, ok := a.(time.Time); ok {
		bt, ok := b.(time.Time)
		return ok && at.Equal(bt) && at.Format(time.RFC3339Nano) == bt.Format(time.RFC3339Nano)
	}
	return reflect.DeepEqual(a, b)
}
