package memstore

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/txn"
)

type named string

// TestPacked checks which values are packed, and that they come back as they were.
func TestPacked(t *testing.T) {
	packs := []any{
		true, false, math.MinInt, int8(-1), int16(math.MaxInt16), int32(0), int64(math.MinInt64),
		uint(math.MaxUint), uint8(255), uint16(1), uint32(math.MaxUint32), uint64(math.MaxUint64),
		float32(math.Pi), math.Inf(-1), math.Copysign(0, -1), "", "\x00ä", strings.Repeat("x", maxPart),
	}
	stays := []any{
		strings.Repeat("x", maxPart+1), []byte("x"), []string{"x"}, map[string]int{"x": 1}, &struct{}{},
		time.Now(), time.Second, named("x"), complex(1, 2), uintptr(1), struct{}{},
	}
	for i, val := range append(packs, stays...) {
		ch := &txn.Changes{}
		ch.Set("k", val)
		v := next(nil, ch)
		_, ok := v.(*packed)
		assert.Equal(t, i < len(packs), ok, "%T %v", val, val)
		got, ok := v.Get("k")
		assert.True(t, ok)
		assert.Equal(t, val, got)
		if f, ok := val.(float64); ok {
			assert.Equal(t, math.Float64bits(f), math.Float64bits(got.(float64)))
		}
	}
	for _, key := range []any{1, named("x"), strings.Repeat("x", maxPart+1)} {
		ch := &txn.Changes{}
		ch.Set(key, true)
		v := next(nil, ch)
		assert.IsType(t, &txn.Values{}, v, key)
		_, ok := v.Get(key)
		assert.True(t, ok)
	}
}

// TestSameValue checks that what is shared stays shared.
func TestSameValue(t *testing.T) {
	e, ctx := New(), t.Context()
	ptr, list, now := &struct{ n int }{}, []byte("x"), time.Now()
	ch := &txn.Changes{}
	ch.Set("ptr", ptr)
	ch.Set("list", list)
	ch.Set("now", now)
	ch.Set("n", 1)
	_, err := e.Create(ctx, "aaa", ch, time.Unix(1e9, 0))
	require.NoError(t, err)
	list[0] = 'y'
	v, err := e.Load(ctx, "aaa")
	require.NoError(t, err)
	got, _ := v.View.Get("ptr")
	assert.Same(t, ptr, got)
	got, _ = v.View.Get("list")
	assert.Equal(t, []byte("y"), got)
	got, _ = v.View.Get("now")
	assert.Equal(t, now, got, "with its location and its monotonic reading")
}

// TestChanges applies random changes to packed values and to a plain version of them.
func TestChanges(t *testing.T) {
	keys := []any{"a", "b", strings.Repeat("c", 200), txn.CreatedKey, txn.FlashKey, txn.LifetimeKey, txn.OwnPrefix, 7}
	vals := []any{1, "x", strings.Repeat("y", 200), int64(1 << 40), true, nil, []string{"z"}}
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		var view txn.View
		want := txn.NoValues
		for step := range 10 {
			ch := &txn.Changes{}
			for range rnd.IntN(5) {
				// Those in front are likelier, so that packed values last.
				key, val := keys[min(rnd.IntN(len(keys)), rnd.IntN(len(keys)))], vals[min(rnd.IntN(len(vals)), rnd.IntN(len(vals)))]
				switch rnd.IntN(8) {
				case 0:
					ch.Flush()
				case 1:
					ch.Delete(key)
				default:
					ch.Set(key, val)
				}
			}
			before := fmt.Sprint(valuesOf(view))
			after := next(view, ch)
			require.Equal(t, before, fmt.Sprint(valuesOf(view)), "the old version has changed")
			view, want = after, ch.Apply(want)
			require.Equal(t, want.Map(), valuesOf(view).Map(), "seed %d, step %d", seed, step)
			for _, key := range keys {
				expected, there := want.Get(key)
				got, ok := view.Get(key)
				require.Equal(t, there, ok)
				require.Equal(t, expected, got)
			}
			if p, ok := view.(*packed); ok {
				own := 0
				for key := range want.Map() {
					if name, ok := key.(string); ok && strings.HasPrefix(name, txn.OwnPrefix) {
						own++
					}
				}
				require.Len(t, p.Own(), own)
			}
		}
	}
}
