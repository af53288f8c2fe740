package recordstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/driver"
)

// slow answers each call when it is told to.
type slow struct {
	driver.Backend
	mu    sync.Mutex
	data  map[string]string
	calls []*call
}

type call struct {
	ids    []string
	many   bool
	ctx    context.Context
	answer chan error
}

func (b *slow) SharesLoads() bool { return true }

func (b *slow) begin(ctx context.Context, many bool, ids ...string) error {
	c := &call{ids: ids, many: many, ctx: ctx, answer: make(chan error, 1)}
	b.mu.Lock()
	b.calls = append(b.calls, c)
	b.mu.Unlock()
	select {
	case err := <-c.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Load and LoadMany read when they are called, and answer later.
func (b *slow) Load(ctx context.Context, id string) (driver.Record, error) {
	data, ok := b.read(id)
	if err := b.begin(ctx, false, id); err != nil {
		return driver.Record{}, err
	}
	if !ok {
		return driver.Record{}, driver.ErrNotFound
	}
	return driver.Record{Data: []byte(data)}, nil
}

func (b *slow) LoadMany(ctx context.Context, ids []string) (map[string]driver.Record, error) {
	found := make(map[string]driver.Record)
	for _, id := range ids {
		if data, ok := b.read(id); ok {
			found[id] = driver.Record{Data: []byte(data)}
		}
	}
	return found, b.begin(ctx, true, ids...)
}

func (b *slow) read(id string) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.data[id]
	return data, ok
}

func (b *slow) write(id, data string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data[id] = data
}

// asked returns the calls that have not been answered.
func (b *slow) asked() []*call {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	calls := b.calls
	b.calls = nil
	return calls
}

func answer(err error, calls ...*call) {
	for _, c := range calls {
		c.answer <- err
	}
}

// answerAll answers until nobody asks any more.
func (b *slow) answerAll() (n int) {
	for calls := b.asked(); len(calls) > 0; calls = b.asked() {
		answer(nil, calls...)
		n += len(calls)
	}
	return n
}

type result struct {
	data string
	err  error
}

// loads starts loads, one after the other, and returns how they end.
func loads(ctx context.Context, s *sharing, ids ...string) []func() result {
	var ends []func() result
	for _, id := range ids {
		end := make(chan result, 1)
		go func() {
			defer func() {
				if p := recover(); p != nil {
					end <- result{err: p.(error)}
				}
			}()
			r, err := s.load(ctx, id)
			end <- result{string(r.Data), err}
		}()
		synctest.Wait()
		ends = append(ends, func() result { return <-end })
	}
	return ends
}

func withSlow(t *testing.T, most int, f func(t *testing.T, b *slow, s *sharing)) {
	synctest.Test(t, func(t *testing.T) {
		b := &slow{data: make(map[string]string)}
		for i := range 100 {
			b.data[fmt.Sprint(i)] = fmt.Sprint("data of ", i)
		}
		s := newSharing(b)
		s.most = most
		f(t, b, s)
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		assert.Zero(t, s.trips)
		assert.Nil(t, s.next)
		assert.False(t, s.gathering)
	})
}

// TestShared checks that loads beyond the limit go together, as soon as one returns, and
// that each gets its own record.
func TestShared(t *testing.T) {
	withSlow(t, 2, func(t *testing.T, b *slow, s *sharing) {
		ends := loads(t.Context(), s, "0", "1", "2", "3", "2", "unknown")
		first := b.asked()
		require.Len(t, first, 2)
		answer(nil, first[1])
		second := b.asked()
		require.Len(t, second, 1)
		assert.True(t, second[0].many)
		assert.Equal(t, []string{"2", "3", "2", "unknown"}, second[0].ids)
		answer(nil, first[0], second[0])
		// What is not there is asked for once more, by itself.
		third := b.asked()
		require.Len(t, third, 1)
		assert.Equal(t, call{ids: []string{"unknown"}}, call{ids: third[0].ids, many: third[0].many})
		answer(nil, third[0])
		for i, want := range []string{"0", "1", "2", "3", "2"} {
			assert.Equal(t, result{"data of " + want, nil}, ends[i]())
		}
		assert.Equal(t, result{"", driver.ErrNotFound}, ends[5]())
	})
}

// TestGathered checks that a round trip that is about to start takes those along that come
// meanwhile, also if it could go by itself.
func TestGathered(t *testing.T) {
	withSlow(t, 2, func(t *testing.T, b *slow, s *sharing) {
		start := make(chan struct{})
		s.yield = func() { <-start }
		ends := loads(t.Context(), s, "0", "1", "2", "unknown")
		require.Empty(t, b.asked())
		start <- struct{}{}
		first := b.asked()
		require.Len(t, first, 1)
		assert.Equal(t, []string{"1", "2", "unknown", "0"}, first[0].ids)

		// The next one does not wait for it.
		ends = append(ends, loads(t.Context(), s, "3")...)
		start <- struct{}{}
		second := b.asked()
		require.Len(t, second, 1)
		assert.Equal(t, call{ids: []string{"3"}}, call{ids: second[0].ids, many: second[0].many})

		// One that takes another's place gathers as well.
		ends = append(ends, loads(t.Context(), s, "4")...)
		answer(nil, second...)
		ends = append(ends, loads(t.Context(), s, "5")...)
		start <- struct{}{}
		third := b.asked()
		require.Len(t, third, 1)
		assert.Equal(t, []string{"4", "5"}, third[0].ids)
		answer(nil, first...)
		answer(nil, third...)
		assert.Equal(t, 1, b.answerAll(), "only what is unknown is asked for again")
		for i, want := range []string{"0", "1", "2", "", "3", "4", "5"} {
			if want != "" {
				want = "data of " + want
			}
			assert.Equal(t, want, ends[i]().data)
		}
	})
}

// TestGatheredInVain checks that those who wait for a round trip that is about to start
// do not wait for long, and that it then starts without them.
func TestGatheredInVain(t *testing.T) {
	withSlow(t, 1, func(t *testing.T, b *slow, s *sharing) {
		start := make(chan struct{})
		s.yield = func() { <-start }
		ends := loads(t.Context(), s, "0", "1")
		time.Sleep(patience)
		assert.Equal(t, 1, b.answerAll())
		assert.Equal(t, "data of 1", ends[1]().data)
		start <- struct{}{}
		calls := b.asked()
		require.Len(t, calls, 1)

		// One that takes another's place has waited long enough, and hurries nobody.
		ends = append(ends, loads(t.Context(), s, "2")...)
		answer(nil, calls...)
		require.Empty(t, b.asked())
		s.hurry(s.next) // Its timer may just have fired.
		time.Sleep(patience)
		require.Empty(t, b.asked())
		start <- struct{}{}
		assert.Equal(t, 1, b.answerAll())
		assert.Equal(t, "data of 0", ends[0]().data)
		assert.Equal(t, "data of 2", ends[2]().data)
	})
}

// TestNotUnderWay checks that a load sees what was stored before it began: it joins no
// round trip that is under way.
func TestNotUnderWay(t *testing.T) {
	withSlow(t, 1, func(t *testing.T, b *slow, s *sharing) {
		ends := loads(t.Context(), s, "0", "1")
		answer(nil, b.asked()...)
		under := b.asked()
		require.Len(t, under, 1)
		b.write("1", "newer")
		ends = append(ends, loads(t.Context(), s, "1")...)
		answer(nil, under...)
		assert.Positive(t, b.answerAll())
		assert.Equal(t, "data of 0", ends[0]().data)
		assert.Equal(t, "data of 1", ends[1]().data)
		assert.Equal(t, "newer", ends[2]().data)
	})
}

// TestHangs checks that a connection that hangs keeps only its own loads waiting.
func TestHangs(t *testing.T) {
	withSlow(t, 2, func(t *testing.T, b *slow, s *sharing) {
		ends := loads(t.Context(), s, "0", "1", "2")
		hang := b.asked()
		require.Len(t, hang, 2)
		time.Sleep(patience - time.Nanosecond)
		require.Empty(t, b.asked())
		time.Sleep(time.Nanosecond)
		more := b.asked()
		require.Len(t, more, 1)
		// A trip beyond the limit is not replaced when it ends.
		ends = append(ends, loads(t.Context(), s, "3")...)
		answer(nil, more...)
		require.Empty(t, b.asked())
		assert.Equal(t, "data of 2", ends[2]().data)
		answer(nil, hang...)
		b.answerAll()
		assert.Equal(t, "data of 3", ends[3]().data)
	})
}

// TestSharedFailure checks that a failure for one record is none for the others.
func TestSharedFailure(t *testing.T) {
	withSlow(t, 1, func(t *testing.T, b *slow, s *sharing) {
		ends := loads(t.Context(), s, "0", "1", "2")
		answer(nil, b.asked()...)
		answer(errors.New("the record of 1 is broken"), b.asked()...)
		alone := b.asked()
		require.Len(t, alone, 2)
		i := slices.IndexFunc(alone, func(c *call) bool { return c.ids[0] == "1" })
		answer(errors.New("broken"), alone[i])
		answer(nil, alone[1-i])
		assert.NoError(t, ends[0]().err)
		assert.EqualError(t, ends[1]().err, "broken")
		assert.Equal(t, result{"data of 2", nil}, ends[2]())
	})
}

// TestSharedPanic checks that a panic of a backend reaches one that asked, and is none for
// the others.
func TestSharedPanic(t *testing.T) {
	withSlow(t, 1, func(t *testing.T, b *slow, s *sharing) {
		ends := loads(t.Context(), s, "0")
		s.backend = panics{b}
		ends = append(ends, loads(t.Context(), s, "1", "2")...)
		b.answerAll()
		assert.Equal(t, "data of 0", ends[0]().data)
		assert.Equal(t, result{err: errPanic}, ends[1]())
		assert.Equal(t, "data of 2", ends[2]().data)
	})
}

var errPanic = errors.New("a panic")

type panics struct{ *slow }

func (panics) LoadMany(context.Context, []string) (map[string]driver.Record, error) {
	panic(errPanic)
}

// TestSharedContext checks that each load ends with its own context, also the one that
// makes the round trip: then the others ask for themselves.
func TestSharedContext(t *testing.T) {
	withSlow(t, 1, func(t *testing.T, b *slow, s *sharing) {
		ends := loads(t.Context(), s, "0")
		waits, cancelWaits := context.WithCancel(t.Context())
		asks, cancelAsks := context.WithCancel(t.Context())
		ends = append(ends, loads(waits, s, "1")...)
		ends = append(ends, loads(asks, s, "2")...)
		ends = append(ends, loads(t.Context(), s, "3")...)
		cancelWaits()
		assert.ErrorIs(t, ends[1]().err, context.Canceled)
		answer(nil, b.asked()...)
		batch := b.asked()
		require.Len(t, batch, 1)
		require.Equal(t, []string{"1", "2", "3"}, batch[0].ids)
		cancelAsks()
		assert.ErrorIs(t, ends[2]().err, context.Canceled)
		answer(nil, batch...) // If 3 has made it, and not 2.
		b.answerAll()
		assert.Equal(t, "data of 3", ends[3]().data)
	})
}

// TestAllGiveUp has all that wait give up, before it is their turn and when it is. Others
// go on.
func TestAllGiveUp(t *testing.T) {
	withSlow(t, 1, func(t *testing.T, b *slow, s *sharing) {
		ends := loads(t.Context(), s, "0")
		ctx, cancel := context.WithCancel(t.Context())
		gone := loads(ctx, s, "1", "2")
		cancel()
		for _, end := range gone {
			assert.ErrorIs(t, end().err, context.Canceled)
		}
		time.Sleep(patience)
		assert.Equal(t, 1, b.answerAll(), "only what 0 asks")
		assert.Equal(t, "data of 0", ends[0]().data)

		// Their turn comes, but nobody hears it.
		for _, hurried := range []bool{false, true} {
			s.trips, s.gathering = 1, false
			waiting := s.join("3")
			if hurried {
				s.hurry(waiting)
			} else {
				s.leave()
			}
			s.giveUp(waiting)
			assert.Nil(t, s.next)
			assert.False(t, s.gathering)
			if hurried {
				assert.Equal(t, 1, s.trips)
				s.leave()
			}
			assert.Zero(t, s.trips)
		}
		end := loads(t.Context(), s, "4")[0]
		b.answerAll()
		assert.Equal(t, "data of 4", end().data)
	})
}
