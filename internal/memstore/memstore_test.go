package memstore

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/txn"
)

// some makes changes to values of a random size, which cannot be packed now and then.
func some(rnd *rand.Rand) *txn.Changes {
	ch := &txn.Changes{}
	ch.Set("s", strings.Repeat("s", rnd.IntN(40)))
	for i := range rnd.IntN(4) {
		ch.Set(fmt.Sprint(i), strings.Repeat("x", rnd.IntN(200)))
	}
	if rnd.IntN(8) == 0 {
		ch.Set("list", []string{"x"})
	} else {
		ch.Delete("list")
	}
	return ch
}

// TestModel does whatever an Engine can do at random, and compares it with a map. Old
// versions must not be accepted.
func TestModel(t *testing.T) {
	for seed := range uint64(10) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		e, ctx := New(), t.Context()
		now := time.Unix(1e9, 0)
		want := map[string]*txn.Version{}
		var past []*txn.Version
		later := func() time.Time { return now.Add(time.Duration(1 + rnd.IntN(100))) }
		load := func(id string) {
			v, err := e.Load(ctx, id)
			old, ok := want[id]
			if !ok {
				require.ErrorIs(t, err, driver.ErrNotFound)
				return
			}
			require.NoError(t, err)
			require.Equal(t, valuesOf(old.View).Map(), valuesOf(v.View).Map())
			require.True(t, old.Record.Expiry.Equal(v.Record.Expiry))
			want[id] = v
		}
		for range 2000 {
			id := fmt.Sprint("id", rnd.IntN(100))
			load(id)
			v, ok := want[id]
			switch rnd.IntN(7) {
			case 0, 1:
				next, err := e.Create(ctx, id, some(rnd), later())
				if ok {
					require.ErrorIs(t, err, driver.ErrExists)
					break
				}
				require.NoError(t, err)
				want[id] = next
			case 2:
				if ok {
					next, err := e.Replace(ctx, v, some(rnd), later())
					require.NoError(t, err)
					want[id], past = next, append(past, v)
				}
			case 3:
				if to := fmt.Sprint("id", rnd.IntN(100)); ok {
					next, err := e.Move(ctx, v, to, some(rnd), later())
					if _, taken := want[to]; taken {
						require.ErrorIs(t, err, driver.ErrExists)
						break
					}
					require.NoError(t, err)
					delete(want, id)
					want[to], past = next, append(past, v)
				}
			case 4:
				if ok {
					next, err := e.Touch(ctx, v, later())
					require.NoError(t, err)
					want[id] = next
				}
			case 5:
				require.NoError(t, e.Delete(ctx, id))
				if ok {
					past = append(past, v)
				}
				delete(want, id)
			case 6:
				now = now.Add(5)
				_, err := e.Sweep(ctx, now, 0)
				require.NoError(t, err)
				maps.DeleteFunc(want, func(_ string, v *txn.Version) bool { return !v.Record.Expiry.After(now) })
			}
			if len(past) > 0 {
				old := past[rnd.IntN(len(past))]
				_, err := e.Replace(ctx, old, some(rnd), later())
				require.ErrorIs(t, err, driver.ErrConflict)
				_, err = e.Touch(ctx, old, later())
				require.ErrorIs(t, err, driver.ErrConflict)
				_, err = e.Move(ctx, old, "new", some(rnd), later())
				require.ErrorIs(t, err, driver.ErrConflict)
			}
		}
		for id := range want {
			load(id)
		}
		n, err := e.Count(ctx, time.Time{})
		require.NoError(t, err)
		require.Equal(t, len(want), n)
	}
}

// TestMemoryIsGivenBack checks that maps which have held many sessions are made anew.
func TestMemoryIsGivenBack(t *testing.T) {
	e, now := New(), time.Now()
	for i := range 5_000 {
		_, err := e.Create(t.Context(), fmt.Sprintf("%032d", i), &txn.Changes{}, now)
		require.NoError(t, err)
	}
	_, err := e.Sweep(t.Context(), now, 0)
	require.NoError(t, err)
	for i := range e.shards {
		assert.Zero(t, e.shards[i].most, "the map was not made anew")
	}
}

// cutOff is a context that ends after so many looks.
type cutOff struct {
	context.Context
	looks int
}

func (c *cutOff) Err() error {
	if c.looks--; c.looks < 0 {
		return context.Canceled
	}
	return nil
}

// TestSweepAfterOneThatWasCutOff sweeps all that has expired, also if the sweep before
// ended half way.
func TestSweepAfterOneThatWasCutOff(t *testing.T) {
	e, now := New(), time.Now()
	for i := range 3 * shardCount {
		_, err := e.Create(t.Context(), fmt.Sprintf("%032d", i), &txn.Changes{}, now.Add(time.Hour))
		require.NoError(t, err)
	}
	_, err := e.Sweep(&cutOff{t.Context(), shardCount / 2}, now.Add(2*time.Hour), 0)
	require.ErrorIs(t, err, context.Canceled)
	n, err := e.Count(t.Context(), now)
	require.NoError(t, err)
	require.NotZero(t, n)
	require.Less(t, n, 3*shardCount)
	_, err = e.Sweep(t.Context(), now.Add(2*time.Hour), 0)
	require.NoError(t, err)
	n, err = e.Count(t.Context(), now)
	require.NoError(t, err)
	assert.Zero(t, n)
}
