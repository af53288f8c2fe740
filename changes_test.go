package session

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestChangesProperty checks changes against a plain map: whatever a request
// does, in however many commits, the outcome is that of doing it in order.
func TestChangesProperty(t *testing.T) {
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		want := Data{}
		for i := range rnd.IntN(30) {
			want[i] = rnd.IntN(10)
		}
		base := newValuesFrom(want)
		var all, current changes
		current.list = nil
		for range rnd.IntN(12) {
			key := rnd.IntN(20)
			switch rnd.IntN(8) {
			case 0:
				current.flush()
				want = Data{}
			case 1:
				current.remove(key)
				delete(want, key)
			case 2, 3, 4:
				fn := func(v any) any { n, _ := v.(int); return 3*n + 1 }
				want[key] = fn(want[key])
				current.update(key, fn, want[key])
			case 5: // A commit began: what follows is kept apart, and joined later.
				all.then(&current)
				current = changes{}
			default:
				want[key] = key
				current.set(key, key)
			}
		}
		all.then(&current)
		assert.Equal(t, want, all.apply(base).data(), "seed %d", seed)
		assert.Equal(t, want, all.on(base).apply(base).data(), "seed %d, done anew", seed)
		for key := range 40 {
			val, known := all.get(key)
			if !known {
				val, _ = base.get(key)
			}
			assert.Equal(t, want[key], val, "seed %d, key %d", seed, key)
		}
	}
}

// TestChangesOnNewer checks that Update hangs on the newer version, Set does
// not, and that the first version is not touched.
func TestChangesOnNewer(t *testing.T) {
	var ch changes
	ch.set("set", "mine")
	ch.update("n", func(v any) any { return v.(int) + 1 }, 2)
	ch.update("n", func(v any) any { return v.(int) * 10 }, 20)
	ch.remove("gone")

	newer := newValuesFrom(Data{"set": "theirs", "n": 5, "gone": 1, "new": 1})
	assert.Equal(t, Data{"set": "mine", "n": 60, "new": 1}, ch.on(newer).apply(newer).data())
	assert.Equal(t, Data{"set": "theirs", "n": 5, "gone": 1, "new": 1}, newer.data())
	val, known := ch.get("n")
	assert.True(t, known)
	assert.Equal(t, 20, val, "what the request knew is as it was")
}

func TestValuesIndex(t *testing.T) {
	for _, n := range []int{0, 1, indexFrom - 1, indexFrom, 1000} {
		data := make(Data)
		for i := range n {
			data[fmt.Sprint(i)] = i
		}
		v := newValuesFrom(data)
		assert.Equal(t, n >= indexFrom, v.index != nil)
		for i := range n {
			got, ok := v.get(fmt.Sprint(i))
			assert.True(t, ok)
			assert.Equal(t, i, got)
		}
		_, ok := v.get("missing")
		assert.False(t, ok)
		assert.Equal(t, data, v.data())
	}
}
