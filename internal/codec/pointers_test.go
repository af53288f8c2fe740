package codec

import (
	"encoding/gob"
	"fmt"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/txn"
)

type (
	plainUser   struct{ Name string } // registered as itself
	pointedUser struct{ Name string } // registered as a pointer
	holder      struct{ Any any }
	tree        struct {
		Left, Right *tree
		Any         any
	}
	byPointer struct{ To *plainUser }
)

func init() {
	gob.Register(plainUser{})
	gob.Register(&pointedUser{})
	gob.Register(holder{})
	gob.Register(tree{})
	gob.Register(byPointer{})
	gob.Register([]*plainUser{})
	gob.Register(&big.Int{})
}

// TestTypesComeBack stores values in all places: each comes back as what it is, or is an error
// that says what to do. What gob itself would do stands in the third column.
func TestTypesComeBack(t *testing.T) {
	n := 7
	for _, c := range []struct {
		val    any
		as     any // nil for the same
		remedy string
	}{
		{plainUser{"ann"}, nil, ""},
		{&plainUser{"ann"}, plainUser{}, "set the codec.plainUser that it points to, or call gob.Register(&codec.plainUser{}) instead of gob.Register(codec.plainUser{})"},
		{pointedUser{"ann"}, &pointedUser{}, "set a *codec.pointedUser, or register codec.pointedUser{} instead of the pointer"},
		{&pointedUser{"ann"}, nil, ""},
		{&n, 0, "set the int that it points to"},
		{&time.Time{}, time.Time{}, "set the time.Time that it points to"},
		{&map[string]any{"a": 1}, map[string]any{}, "set the map[string]interface {} that it points to"},
		{big.NewInt(1), nil, ""},
		{byPointer{&plainUser{"ann"}}, nil, ""},
		{[]*plainUser{{"ann"}}, nil, ""},
		{n, nil, ""}, {time.Now().Round(0), nil, ""}, {[]string{"a"}, nil, ""},
	} {
		places := map[string]any{
			"itself":    c.val,
			"a map":     map[string]any{"b": 1, "a": c.val},
			"any keys":  map[any]any{1: c.val},
			"a list":    []any{1, c.val},
			"a field":   holder{c.val},
			"deep down": []any{map[string]any{"a": []map[string]any{{"b": holder{tree{Left: &tree{Any: c.val}}}}}}},
		}
		if reflect.TypeOf(c.val).Comparable() {
			places["a key"] = map[any]any{c.val: 1}
		}
		for place, val := range places {
			for _, key := range []string{"k", txn.FlashKey} {
				name := fmt.Sprintf("a %T in %s under %s", c.val, place, key)
				if key == txn.FlashKey {
					val = txn.Flashes{"first", val}
				}
				b, err := Gob.Marshal(txn.NewValues([]txn.Pair{{Key: "other", Value: 1}, {Key: key, Value: val}}))
				if c.as != nil {
					require.Error(t, err, name)
					assert.ErrorContains(t, err, "encode: key \""+key, name)
					assert.ErrorContains(t, err, c.remedy, name)
					assert.ErrorContains(t, err, fmt.Sprintf("a %T would come back as a %T", c.val, c.as), name)
					continue
				}
				require.NoError(t, err, name)
				got, err := Gob.Whole().Unmarshal(b)
				require.NoError(t, err, name)
				back, _ := got.Get(key)
				if place != "a key" { // Two pointers are two keys.
					assert.Equal(t, val, back, name)
				}
			}
		}
	}
	_, err := Gob.Marshal(txn.NewValues([]txn.Pair{{Key: &n, Value: 1}}))
	assert.ErrorContains(t, err, "would come back as a int", "a key of the session")
}

// TestGobChangesTypes shows why: encoding/gob itself does so.
func TestGobChangesTypes(t *testing.T) {
	n := 7
	assert.Equal(t, reflect.TypeFor[plainUser](), comesBackAs(reflect.TypeFor[*plainUser]()))
	assert.Equal(t, reflect.TypeFor[*pointedUser](), comesBackAs(reflect.TypeFor[pointedUser]()))
	assert.Equal(t, reflect.TypeFor[int](), comesBackAs(reflect.TypeOf(&n)))
	assert.Nil(t, comesBackAs(reflect.TypeFor[struct{ A chan int }]()), "what is not registered")
}

// TestLoopsAreRefused looks for pointers in values that contain themselves.
func TestLoopsAreRefused(t *testing.T) {
	m := map[string]any{}
	m["m"], m["n"] = m, m
	l := []any{nil, nil}
	l[0], l[1] = l, l
	tr := &tree{}
	tr.Left, tr.Right, tr.Any = tr, tr, *tr
	for _, val := range []any{m, l, *tr} {
		_, err := Gob.Marshal(txn.NewValues([]txn.Pair{{Key: "k", Value: val}}))
		assert.ErrorContains(t, err, "nested")
	}
}
