package txn

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestChangesProperty checks changes against a plain map: whatever a request
// does, in however many commits, the outcome is that of doing it in order.
func TestChangesProperty(t *testing.T) {
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		want := map[any]any{}
		for i := range rnd.IntN(30) {
			want[i] = rnd.IntN(10)
		}
		base := ValuesOf(want)
		var all, current Changes
		for range rnd.IntN(12 << (seed % 4)) { // Some have so many that they are indexed.
			key := rnd.IntN(40)
			switch rnd.IntN(8) {
			case 0:
				current.Flush()
				want = map[any]any{}
			case 1:
				current.Delete(key)
				delete(want, key)
			case 2, 3, 4:
				fn := func(v any) any { n, _ := v.(int); return 3*n + 1 }
				want[key] = fn(want[key])
				current.update(key, fn, want[key])
			case 5: // A commit began: later changes are kept apart, and appended after it.
				all.append(&current)
				current = Changes{}
			default:
				want[key] = key
				current.Set(key, key)
			}
		}
		all.append(&current)
		assert.Equal(t, want, all.Apply(base).Map(), "seed %d", seed)
		assert.Equal(t, want, rebase(t, &all, base).Apply(base).Map(), "seed %d, done anew", seed)
		for key := range 40 {
			val, known := all.get(key)
			if !known {
				val, _ = base.Get(key)
			}
			assert.Equal(t, want[key], val, "seed %d, key %d", seed, key)
		}
	}
}

func rebase(t *testing.T, ch *Changes, base View) *Changes {
	rebased, err := ch.Rebase(base)
	require.NoError(t, err)
	return rebased
}

// TestChangesOnNewer checks that Update depends on the newer version, that Set does not,
// and that the newer version is not modified.
func TestChangesOnNewer(t *testing.T) {
	var ch Changes
	ch.Set("set", "mine")
	ch.update("n", func(v any) any { return v.(int) + 1 }, 2)
	ch.update("n", func(v any) any { return v.(int) * 10 }, 20)
	ch.Delete("gone")

	newer := ValuesOf(map[any]any{"set": "theirs", "n": 5, "gone": 1, "new": 1})
	assert.Equal(t, map[any]any{"set": "mine", "n": 60, "new": 1}, rebase(t, &ch, newer).Apply(newer).Map())
	assert.Equal(t, map[any]any{"set": "theirs", "n": 5, "gone": 1, "new": 1}, newer.Map())
	val, known := ch.get("n")
	assert.True(t, known)
	assert.Equal(t, 20, val, "the request still sees its own result")
}

func TestValuesIndex(t *testing.T) {
	for _, n := range []int{0, 1, indexFrom - 1, indexFrom, 1000} {
		data := make(map[any]any)
		for i := range n {
			data[fmt.Sprint(i)] = i
		}
		v := ValuesOf(data)
		assert.Equal(t, n >= indexFrom, v.index != nil)
		for i := range n {
			got, ok := v.Get(fmt.Sprint(i))
			assert.True(t, ok)
			assert.Equal(t, i, got)
		}
		_, ok := v.Get("missing")
		assert.False(t, ok)
		assert.Equal(t, data, v.Map())
	}
}

// TestManyChangesAreIndexed checks that a change is found without a search, also in a copy, and
// after the flashes were dropped.
func TestManyChangesAreIndexed(t *testing.T) {
	c := newChanges()
	for i := range 20000 {
		c.Set(i, i)
	}
	c.Set(FlashKey, 1)
	assert.True(t, c.isIndexed())
	assert.True(t, c.clone().isIndexed())
	s := &Session{life: &life{inflight: c}}
	s.dropFlashes(&plan{life: s.life})
	_, known := c.get(FlashKey)
	assert.False(t, known)
	c.Set("k", 1)
	assert.True(t, c.isIndexed())
	val, known := c.get(19999)
	assert.True(t, known)
	assert.Equal(t, 19999, val)
}
