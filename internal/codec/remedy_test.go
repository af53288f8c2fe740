package codec

import (
	"encoding/gob"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/txn"
)

// Types of a shop. Only cart and shelf are registered with gob.
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
	const register = "call gob.Register(codec.basket{}) once at start"
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
		"pointer":              {&basket{}, "call gob.Register(&codec.basket{}) once at start"},
		"list in map":          {map[string]any{"a": []any{1, basket{}}}, register},
		"map in list":          {[]any{map[any]any{1: basket{}}}, register},
		"key of a map":         {map[any]any{basket{}: 1}, register},
		"named map":            {shelf{"a": shelf{"b": basket{}}}, register},
		"field":                {cart{Box: basket{}}, register},
		"list in field":        {cart{Items: []any{nil, basket{}}}, register},
		"behind a pointer":     {&cart{Next: &cart{Box: []any{basket{}}}}, register},
		"pointer in list":      {[]any{&basket{}}, "call gob.Register(&codec.basket{}) once at start"},
		"slice of it":          {[]any{[]basket{}}, "call gob.Register([]codec.basket{}) once at start"},
		"array":                {map[string]any{"a": [1]basket{}}, "call gob.Register([1]codec.basket{}) once at start"},
		"map of it":            {map[string]any{"a": map[string]basket{}}, "call gob.Register(map[string]codec.basket{}) once at start"},
		"encodes itself":       {[]any{stamp{}}, "call gob.Register(codec.stamp{}) once at start"},
		"in a circle":          {loop, register},
		"in a ring":            {ring, register},
		"channel":              {make(chan int), "gob cannot encode a chan int"},
		"channel inside":       {map[string]any{"a": []any{make(chan int)}}, "gob cannot encode a chan int"},
		"function in a field":  {cart{Box: func() {}}, "gob cannot encode a func()"},
		"functions":            {[]any{[]func(){}}, "gob cannot encode a []func()"},
		"nil pointer":          {[]any{(*cart)(nil)}, "nil pointer of type *codec.cart: store nil as such"},
		"nothing exported":     {[]any{secret{}}, "gob cannot encode a codec.secret: none of its fields is exported"},
		"is never looked into": {cart{secret: basket{}, Hidden: func() {}, Box: []any{basket{}}}, register},
	} {
		t.Run(name, func(t *testing.T) {
			got := remedy(txn.Pair{Key: "k", Value: test.val})
			assert.Contains(t, got, test.want)
			if !strings.Contains(name, "circle") && !strings.Contains(name, "ring") {
				_, err := Gob.Marshal(txn.ValuesOf(map[any]any{"good": 1, "k": test.val}))
				require.Error(t, err)
				assert.Contains(t, err.Error(), `encode: key "k" holds a `)
				assert.Contains(t, err.Error(), test.want)
			}
		})
	}
	t.Run("key", func(t *testing.T) {
		assert.Contains(t, remedy(txn.Pair{Key: basket{}, Value: 1}), register)
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
		_, err := Gob.Marshal(txn.ValuesOf(map[any]any{"good": 1, "loop": val}))
		require.ErrorContains(t, err, `encode: key "loop" holds a `)
		require.ErrorContains(t, err, "nested more than 10000 deep")
		require.NotContains(t, err.Error(), "gob.Register")
	}
}
