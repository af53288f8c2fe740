package memstore

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/txn"
)

// check checks that everything is in its place, and nothing else takes up memory. It
// returns how many sessions there are, and the bytes of their rows and of the chunks.
func check(t *testing.T, e *Engine) (n, used, taken int) {
	t.Helper()
	for i := range e.shards {
		sh := &e.shards[i]
		rows, values := 0, 0
		for j := range sh.tables {
			tab := &sh.tables[j]
			rows += tab.n
			used += tab.n * tab.size
			for _, c := range tab.chunks {
				taken += cap(c)
			}
			if tab.n == 0 {
				require.Empty(t, tab.chunks)
				continue
			}
			require.Len(t, tab.chunks, (tab.n-1)/tab.perChunk()+1)
			for i := range tab.n {
				id, _ := split(tab.row(i))
				p, ok := sh.index[maphash.Bytes(e.seed, id)]
				require.True(t, ok)
				require.Equal(t, placeOf(tab.size, i), p.at)
				if p.version == 0 {
					values++
					require.NotNil(t, sh.values[maphash.Bytes(e.seed, id)])
				}
			}
		}
		require.Len(t, sh.index, rows)
		require.Len(t, sh.values, values)
		n += rows
	}
	return n, used, taken
}

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
					next, err := e.Extend(ctx, v, later())
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
				_, err = e.Extend(ctx, old, later())
				require.ErrorIs(t, err, driver.ErrConflict)
				_, err = e.Move(ctx, old, "new", some(rnd), later())
				require.ErrorIs(t, err, driver.ErrConflict)
			}
		}
		for id := range want {
			load(id)
		}
		n, _, _ := check(t, e)
		require.Equal(t, len(want), n)
	}
}

// TestBounded deletes and creates sessions of all sizes for a long time. There must not
// be more and more memory between them, and none when they are gone.
func TestBounded(t *testing.T) {
	e, ctx, rnd := New(), t.Context(), rand.New(rand.NewPCG(1, 4))
	var ids []string
	create := func() {
		id := txn.NewID(16 + rnd.IntN(driver.MaxIDLength-15))
		_, err := e.Create(ctx, id, some(rnd), time.Unix(1e9, 0))
		require.NoError(t, err)
		ids = append(ids, id)
	}
	const live = 5_000
	for range live {
		create()
	}
	for range 10 * live {
		i := rnd.IntN(len(ids))
		require.NoError(t, e.Delete(ctx, ids[i]))
		ids[i] = ids[len(ids)-1]
		ids = ids[:len(ids)-1]
		create()
	}
	n, used, taken := check(t, e)
	assert.Equal(t, live, n)
	assert.Less(t, taken, 3*used, "some rows in each of many tables, which have room to grow")
	for len(ids) > 0 {
		require.NoError(t, e.Delete(ctx, ids[0]))
		if ids = ids[1:]; len(ids) == live/50 {
			_, used, taken = check(t, e)
			assert.Less(t, taken, 6*used)
		}
	}
	n, _, taken = check(t, e)
	assert.Zero(t, n)
	assert.Zero(t, taken)
	_, err := e.Sweep(ctx, time.Unix(0, 0), 0)
	require.NoError(t, err)
	for i := range e.shards {
		assert.Zero(t, e.shards[i].most, "the index was not made anew")
	}
}

// TestVersionsBeginAgain checks that a version is never that of values that are not
// packed.
func TestVersionsBeginAgain(t *testing.T) {
	e, ctx, ch := New(), t.Context(), &txn.Changes{}
	sh, _ := e.shard("aaa")
	sh.version = math.MaxUint32 - 1
	v, err := e.Create(ctx, "aaa", ch, time.Unix(1e9, 0))
	require.NoError(t, err)
	for range 3 {
		old := v
		v, err = e.Replace(ctx, old, ch, time.Unix(1e9, 0))
		require.NoError(t, err)
		_, err = e.Extend(ctx, old, time.Unix(2e9, 0))
		assert.True(t, errors.Is(err, driver.ErrConflict))
		now, err := e.Load(ctx, "aaa")
		require.NoError(t, err)
		assert.IsType(t, &packed{}, now.View)
	}
}

// TestTableShrinks checks that one row that is left does not keep the memory of many.
func TestTableShrinks(t *testing.T) {
	tab := table{size: 64}
	for range 1000 {
		tab.push()
	}
	for range 999 {
		tab.pop()
	}
	assert.Less(t, cap(tab.chunks[0]), 8*tab.size)
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
// ended in the middle of a table.
func TestSweepAfterOneThatWasCutOff(t *testing.T) {
	e, now := New(), time.Now()
	ch := &txn.Changes{}
	ch.Set("n", 1)
	for i, n := 0, 0; n < 3*sweepStep; i++ { // All in the first shard.
		id := fmt.Sprintf("%032d", i)
		if sh, _ := e.shard(id); sh != &e.shards[0] {
			continue
		}
		n++
		_, err := e.Create(t.Context(), id, ch, now.Add(time.Hour))
		require.NoError(t, err)
	}
	_, err := e.Sweep(&cutOff{t.Context(), 2}, now, 0)
	require.ErrorIs(t, err, context.Canceled)
	_, err = e.Sweep(t.Context(), now.Add(2*time.Hour), 0)
	require.NoError(t, err)
	n, err := e.Count(t.Context(), now)
	require.NoError(t, err)
	assert.Zero(t, n)
}
