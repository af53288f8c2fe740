package session

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"errors"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Types of a shop that gob was not told of, but for cart and shelf.
type (
	basket struct{ N int }
	cart   struct {
		Items  []any
		Next   *cart
		Hidden func()
		Box    any
		secret any
	}
	shelf  map[string]any
	secret struct{ _ int }
	stamp  struct{ _ int }
)

func (stamp) GobEncode() ([]byte, error) { return []byte{1}, nil }
func (*stamp) GobDecode([]byte) error    { return nil }

func init() {
	gob.Register(cart{})
	gob.Register(shelf{})
}

func TestRemedyNamesTheInnerType(t *testing.T) {
	const register = "call gob.Register(session.basket{}) once at start"
	loop := map[string]any{}
	loop["a"] = []any{loop, basket{}}
	ring := &cart{}
	ring.Next = ring
	ring.Box = basket{}
	for name, test := range map[string]struct {
		val  any
		want string
	}{
		"itself":               {basket{}, register},
		"pointer":              {&basket{}, "call gob.Register(&session.basket{}) once at start"},
		"list in map":          {map[string]any{"a": []any{1, basket{}}}, register},
		"map in list":          {[]any{map[any]any{1: basket{}}}, register},
		"key of a map":         {map[any]any{basket{}: 1}, register},
		"named map":            {shelf{"a": shelf{"b": basket{}}}, register},
		"field":                {cart{Box: basket{}}, register},
		"list in field":        {cart{Items: []any{nil, basket{}}}, register},
		"behind a pointer":     {&cart{Next: &cart{Box: []any{basket{}}}}, register},
		"pointer in list":      {[]any{&basket{}}, "call gob.Register(&session.basket{}) once at start"},
		"slice of it":          {[]any{[]basket{}}, "call gob.Register([]session.basket{}) once at start"},
		"array":                {map[string]any{"a": [1]basket{}}, "call gob.Register([1]session.basket{}) once at start"},
		"map of it":            {map[string]any{"a": map[string]basket{}}, "call gob.Register(map[string]session.basket{}) once at start"},
		"encodes itself":       {[]any{stamp{}}, "call gob.Register(session.stamp{}) once at start"},
		"in a circle":          {loop, register},
		"in a ring":            {ring, register},
		"channel":              {make(chan int), "gob cannot encode a chan int"},
		"channel inside":       {map[string]any{"a": []any{make(chan int)}}, "gob cannot encode a chan int"},
		"function in a field":  {cart{Box: func() {}}, "gob cannot encode a func()"},
		"functions":            {[]any{[]func(){}}, "gob cannot encode a []func()"},
		"nil pointer":          {[]any{(*cart)(nil)}, "nil pointer of type *session.cart: store nil as such"},
		"nothing exported":     {[]any{secret{}}, "gob cannot encode a session.secret: none of its fields is exported"},
		"is never looked into": {cart{secret: basket{}, Hidden: func() {}, Box: []any{basket{}}}, register},
	} {
		t.Run(name, func(t *testing.T) {
			got := remedy(pair{Key: "k", Value: test.val})
			assert.Contains(t, got, test.want)
			if !strings.Contains(name, "circle") && !strings.Contains(name, "ring") {
				_, err := GobEncoder(Data{"good": 1, "k": test.val})
				require.Error(t, err)
				assert.Contains(t, err.Error(), `encode: key "k" holds a `)
				assert.Contains(t, err.Error(), test.want)
			}
		})
	}
	t.Run("key", func(t *testing.T) {
		assert.Contains(t, remedy(pair{Key: basket{}, Value: 1}), register)
	})
}

// A value that contains itself is an error that names the key. gob would end the
// process.
func TestCirclesAreNamed(t *testing.T) {
	loop := map[string]any{}
	loop["a"] = []any{loop}
	ring := &cart{}
	ring.Next = ring
	for _, val := range []any{loop, ring} {
		_, err := GobEncoder(Data{"good": 1, "loop": val})
		require.ErrorContains(t, err, `encode: key "loop" holds a `)
		require.ErrorContains(t, err, "deep in one another")
		require.NotContains(t, err.Error(), "gob.Register")
	}
}

func encodeJSON(data Data) ([]byte, error) {
	m := make(map[string]any, len(data))
	for key, val := range data {
		m[key.(string)] = val
	}
	return json.Marshal(m)
}

func decodeJSON(b []byte) (Data, error) {
	var m map[string]any
	err := json.Unmarshal(b, &m)
	data := make(Data, len(m))
	for key, val := range m {
		data[key] = val
	}
	return data, err
}

func TestCheckCodec(t *testing.T) {
	without := func(prefix string) Decoder {
		return func(b []byte) (Data, error) {
			data, err := GobDecoder(b)
			maps.DeleteFunc(data, func(key, _ any) bool { return strings.HasPrefix(key.(string), prefix) })
			return data, err
		}
	}
	with := func(change func(int64) any) Decoder {
		return func(b []byte) (Data, error) {
			data, err := GobDecoder(b)
			for key, val := range data {
				data[key] = change(val.(int64))
			}
			return data, err
		}
	}
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		enc  Encoder
		dec  Decoder
		want []string
	}{
		"gob":          {},
		"gob, named":   {enc: GobEncoder, dec: GobDecoder},
		"JSON":         {enc: encodeJSON, dec: decodeJSON},
		"json.Number":  {dec: with(func(n int64) any { return json.Number(strconv.FormatInt(n, 10)) })},
		"other number": {dec: with(func(n int64) any { return float64(n) })},
		"encrypted": {
			enc: func(data Data) ([]byte, error) {
				b, err := GobEncoder(data)
				return []byte(base64.StdEncoding.EncodeToString(b)), err
			},
			dec: func(b []byte) (Data, error) {
				b, err := base64.StdEncoding.DecodeString(string(b))
				if err != nil {
					return nil, err
				}
				return GobDecoder(b)
			},
		},
		"keys dropped":     {dec: without("flamego::"), want: []string{"Config.Encoder and Config.Decoder lose", `"flamego::session::created"`, `keep keys that start with "flamego::session::"`}},
		"one key dropped":  {dec: without(rememberKey), want: []string{"lose", `"flamego::session::remember"`}},
		"number cut":       {dec: with(func(n int64) any { return int32(n) }), want: []string{"lose"}},
		"as text":          {dec: with(func(int64) any { return "text" }), want: []string{"lose"}},
		"nil data":         {dec: func([]byte) (Data, error) { return nil, nil }, want: []string{"lose"}},
		"encoder fails":    {enc: func(Data) ([]byte, error) { return nil, broken }, want: []string{"Config.Encoder", "broken"}},
		"encoder panics":   {enc: func(Data) ([]byte, error) { panic("aah") }, want: []string{"Config.Encoder", "aah"}},
		"decoder fails":    {dec: func([]byte) (Data, error) { return nil, broken }, want: []string{"Config.Decoder", "broken"}},
		"decoder panics":   {dec: func([]byte) (Data, error) { panic("aah") }, want: []string{"Config.Decoder", "aah"}},
		"no decoder":       {enc: encodeJSON, want: []string{"Config.Decoder", "set both"}},
		"encoder of bytes": {enc: func(Data) ([]byte, error) { return bytes.Repeat([]byte("x"), 9), nil }, want: []string{"Config.Decoder"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkCodec(newCodec(test.enc, test.dec))
			if test.want == nil {
				require.NoError(t, err)
				return
			}
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}
