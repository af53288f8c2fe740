package share

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slow answers each call when it is told to.
type slow struct {
	mu    sync.Mutex
	data  map[string]string
	calls []*trip
	panic error
}

type trip struct {
	ids    []string
	many   bool
	answer chan error
}

func (b *slow) begin(ctx context.Context, many bool, ids ...string) error {
	c := &trip{ids: ids, many: many, answer: make(chan error, 1)}
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

// alone and together read when they are called, and answer later.
func (b *slow) alone(ctx context.Context, id string) result {
	data := b.read(id)
	if err := b.begin(ctx, false, id); err != nil {
		return result{err: err}
	}
	return result{data: data}
}

func (b *slow) together(ctx context.Context, ids []string) []result {
	if b.panic != nil {
		panic(b.panic)
	}
	all := make([]result, len(ids))
	for i, id := range ids {
		all[i].data = b.read(id)
	}
	if b.begin(ctx, true, ids...) != nil {
		return nil
	}
	return all
}

func (b *slow) read(id string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data[id]
}

func (b *slow) write(id, data string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data[id] = data
}

// asked returns the calls that have not been answered.
func (b *slow) asked() []*trip {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	calls := b.calls
	b.calls = nil
	return calls
}

func answer(err error, calls ...*trip) {
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

// ask makes calls, one after the other, and returns how they end.
func ask(ctx context.Context, s *Calls[string, result], ids ...string) []func() result {
	var ends []func() result
	for _, id := range ids {
		end := make(chan result, 1)
		go func() {
			defer func() {
				if p := recover(); p != nil {
					end <- result{err: p.(error)}
				}
			}()
			r, err := s.Do(ctx, id)
			end <- result{r.data, errors.Join(r.err, err)}
		}()
		synctest.Wait()
		ends = append(ends, func() result { return <-end })
	}
	return ends
}

func withSlow(t *testing.T, most int, f func(t *testing.T, b *slow, s *Calls[string, result])) {
	synctest.Test(t, func(t *testing.T) {
		b := &slow{data: make(map[string]string)}
		for i := range 100 {
			b.data[fmt.Sprint(i)] = fmt.Sprint("data of ", i)
		}
		s := New(b.alone, b.together)
		s.most = most
		f(t, b, s)
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		assert.Zero(t, s.trips)
		assert.Empty(t, s.waiting)
		assert.False(t, s.gathering)
	})
}

// TestShared checks that calls beyond the limit go together, as soon as one returns, and
// that each gets its own answer.
func TestShared(t *testing.T) {
	withSlow(t, 2, func(t *testing.T, b *slow, s *Calls[string, result]) {
		ends := ask(t.Context(), s, "0", "1", "2", "3", "2", "unknown")
		first := b.asked()
		require.Len(t, first, 2)
		answer(nil, first[1])
		second := b.asked()
		require.Len(t, second, 1)
		assert.True(t, second[0].many)
		assert.Equal(t, []string{"2", "3", "2", "unknown"}, second[0].ids)
		answer(nil, first[0], second[0])
		require.Empty(t, b.asked())
		for i, want := range []string{"0", "1", "2", "3", "2"} {
			assert.Equal(t, result{"data of " + want, nil}, ends[i]())
		}
		assert.Equal(t, result{}, ends[5]())
	})
}

// TestGathered checks that a round trip that is about to start takes those along that come
// meanwhile, also if it could go by itself.
func TestGathered(t *testing.T) {
	withSlow(t, 2, func(t *testing.T, b *slow, s *Calls[string, result]) {
		start := make(chan struct{})
		s.yield, s.met = func() { <-start }, true
		ends := ask(t.Context(), s, "0", "1", "2", "unknown")
		require.Empty(t, b.asked())
		start <- struct{}{}
		first := b.asked()
		require.Len(t, first, 1)
		assert.Equal(t, []string{"1", "2", "unknown", "0"}, first[0].ids)

		// The next one does not wait for it.
		ends = append(ends, ask(t.Context(), s, "3")...)
		start <- struct{}{}
		second := b.asked()
		require.Len(t, second, 1)
		assert.Equal(t, trip{ids: []string{"3"}}, trip{ids: second[0].ids, many: second[0].many})

		// One that takes another's place gathers as well.
		ends = append(ends, ask(t.Context(), s, "4")...)
		answer(nil, second...)
		ends = append(ends, ask(t.Context(), s, "5")...)
		start <- struct{}{}
		third := b.asked()
		require.Len(t, third, 1)
		assert.Equal(t, []string{"4", "5"}, third[0].ids)
		answer(nil, first...)
		answer(nil, third...)
		assert.Zero(t, b.answerAll())
		for i, want := range []string{"0", "1", "2", "", "3", "4", "5"} {
			if want != "" {
				want = "data of " + want
			}
			assert.Equal(t, want, ends[i]().data)
		}
	})
}

// TestQuiet checks that nobody makes way for others where there are none: to let them run
// costs more than the rest of a call.
func TestQuiet(t *testing.T) {
	withSlow(t, 2, func(t *testing.T, b *slow, s *Calls[string, result]) {
		yields := 0
		s.yield = func() { yields++ }
		one := func() { ask(t.Context(), s, "0"); b.answerAll() }
		one()
		one()
		assert.Zero(t, yields)
		ask(t.Context(), s, "0", "1")
		assert.Equal(t, 1, yields, "one is under way")
		b.answerAll()
		one()
		assert.Equal(t, 2, yields, "others were there a moment ago")
		one()
		assert.Equal(t, 2, yields)
	})
}

// TestSize checks that a round trip carries no more than it should, and that all are answered.
func TestSize(t *testing.T) {
	withSlow(t, 1, func(t *testing.T, b *slow, s *Calls[string, result]) {
		ends := ask(t.Context(), s, "0")
		for range 3*size - 1 {
			ends = append(ends, ask(t.Context(), s, "1")...)
		}
		var sizes []int
		for calls := b.asked(); len(calls) > 0; calls = b.asked() {
			require.Len(t, calls, 1)
			sizes = append(sizes, len(calls[0].ids))
			answer(nil, calls...)
		}
		assert.Equal(t, []int{1, size, size, size - 1}, sizes)
		for _, end := range ends[1:] {
			assert.Equal(t, "data of 1", end().data)
		}
	})
}

// TestGatheredInVain checks that those who wait for a round trip that is about to start
// do not wait for long, and that it then starts without them.
func TestGatheredInVain(t *testing.T) {
	withSlow(t, 1, func(t *testing.T, b *slow, s *Calls[string, result]) {
		start := make(chan struct{})
		s.yield, s.met = func() { <-start }, true
		ends := ask(t.Context(), s, "0", "1")
		time.Sleep(patience)
		assert.Equal(t, 1, b.answerAll())
		assert.Equal(t, "data of 1", ends[1]().data)
		start <- struct{}{}
		calls := b.asked()
		require.Len(t, calls, 1)

		// One that takes another's place has waited long enough, and hurries nobody.
		ends = append(ends, ask(t.Context(), s, "2")...)
		answer(nil, calls...)
		require.Empty(t, b.asked())
		s.hurry(s.waiting[0]) // Its timer may just have fired.
		time.Sleep(patience)
		require.Empty(t, b.asked())
		start <- struct{}{}
		assert.Equal(t, 1, b.answerAll())
		assert.Equal(t, "data of 0", ends[0]().data)
		assert.Equal(t, "data of 2", ends[2]().data)
	})
}

// TestNotUnderWay checks that a call begins after Do does: it joins no round trip that is
// under way.
func TestNotUnderWay(t *testing.T) {
	withSlow(t, 1, func(t *testing.T, b *slow, s *Calls[string, result]) {
		ends := ask(t.Context(), s, "0", "1")
		answer(nil, b.asked()...)
		under := b.asked()
		require.Len(t, under, 1)
		b.write("1", "newer")
		ends = append(ends, ask(t.Context(), s, "1")...)
		answer(nil, under...)
		assert.Positive(t, b.answerAll())
		assert.Equal(t, "data of 0", ends[0]().data)
		assert.Equal(t, "data of 1", ends[1]().data)
		assert.Equal(t, "newer", ends[2]().data)
	})
}

// TestHangs checks that a connection that hangs keeps only its own calls waiting.
func TestHangs(t *testing.T) {
	withSlow(t, 2, func(t *testing.T, b *slow, s *Calls[string, result]) {
		ends := ask(t.Context(), s, "0", "1", "2")
		hang := b.asked()
		require.Len(t, hang, 2)
		time.Sleep(patience - time.Nanosecond)
		require.Empty(t, b.asked())
		time.Sleep(time.Nanosecond)
		more := b.asked()
		require.Len(t, more, 1)
		// A trip beyond the limit is not replaced when it ends.
		ends = append(ends, ask(t.Context(), s, "3")...)
		answer(nil, more...)
		require.Empty(t, b.asked())
		assert.Equal(t, "data of 2", ends[2]().data)
		answer(nil, hang...)
		b.answerAll()
		assert.Equal(t, "data of 3", ends[3]().data)
	})
}

// TestNoAnswer checks that those who share a round trip that fails are told.
func TestNoAnswer(t *testing.T) {
	withSlow(t, 1, func(t *testing.T, b *slow, s *Calls[string, result]) {
		ends := ask(t.Context(), s, "0", "1", "2")
		answer(nil, b.asked()...)
		answer(errors.New("broken"), b.asked()...)
		require.Empty(t, b.asked())
		assert.NoError(t, ends[0]().err)
		assert.ErrorIs(t, ends[1]().err, ErrNoAnswer)
		assert.ErrorIs(t, ends[2]().err, ErrNoAnswer)
	})
}

// TestPanic checks that a panic reaches one that asked, and that the others are told.
func TestPanic(t *testing.T) {
	for _, hasTime := range []bool{true, false} {
		withSlow(t, 1, func(t *testing.T, b *slow, s *Calls[string, result]) {
			ends := ask(t.Context(), s, "0")
			b.panic = errors.New("a panic")
			ctx := t.Context()
			if !hasTime {
				short, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				ctx = short
			}
			ends = append(ends, ask(ctx, s, "1")...)
			long, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			ends = append(ends, ask(long, s, "2")...)
			b.answerAll()
			assert.Equal(t, "data of 0", ends[0]().data)
			assert.Equal(t, result{err: b.panic}, ends[1]())
			assert.ErrorIs(t, ends[2]().err, ErrNoAnswer)
		})
	}
}

// TestLittleTimeLeft has one whose time is nearly over make the round trip. It goes on for
// the others, until the last of them has waited long enough.
func TestLittleTimeLeft(t *testing.T) {
	for _, gathers := range []bool{false, true} {
		for _, left := range []time.Duration{time.Minute, time.Hour} {
			withSlow(t, 1, func(t *testing.T, b *slow, s *Calls[string, result]) {
				short, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				long, cancel := context.WithTimeout(t.Context(), left)
				defer cancel()
				start := make(chan struct{}, 1)
				first := func() []*trip { start <- struct{}{}; return b.asked() }
				if gathers {
					s.yield, s.met = func() { <-start }, true
				} else {
					zero := ask(t.Context(), s, "0")
					defer func() { assert.Equal(t, "data of 0", zero[0]().data) }()
					first = func() []*trip { answer(nil, b.asked()...); return b.asked() }
				}
				ends := append(ask(short, s, "1"), ask(long, s, "2")...)
				under := first()
				require.Len(t, under, 1)
				assert.ElementsMatch(t, []string{"1", "2"}, under[0].ids)
				time.Sleep(time.Second)
				assert.ErrorIs(t, ends[0]().err, context.DeadlineExceeded)
				if left == time.Hour {
					answer(nil, under...)
					assert.Equal(t, result{data: "data of 2"}, ends[1]())
					return
				}
				time.Sleep(left)
				assert.Error(t, ends[1]().err)
			})
		}
	}
}

// TestContext checks that each call ends with its own context, also the one that makes the
// round trip, and that nothing is asked for those who have gone.
func TestContext(t *testing.T) {
	withSlow(t, 1, func(t *testing.T, b *slow, s *Calls[string, result]) {
		ends := ask(t.Context(), s, "0")
		waits, cancelWaits := context.WithCancel(t.Context())
		asks, cancelAsks := context.WithCancel(t.Context())
		ends = append(ends, ask(waits, s, "1")...)
		ends = append(ends, ask(asks, s, "2")...)
		ends = append(ends, ask(t.Context(), s, "3")...)
		cancelWaits()
		assert.ErrorIs(t, ends[1]().err, context.Canceled)
		answer(nil, b.asked()...)
		batch := b.asked()
		require.Len(t, batch, 1)
		require.Equal(t, []string{"2", "3"}, batch[0].ids)
		cancelAsks()
		end := ends[2]().err
		answer(nil, batch...) // If 3 has made it, and not 2.
		if errors.Is(end, ErrNoAnswer) {
			end = context.Canceled // 2 has made it.
		}
		assert.ErrorIs(t, end, context.Canceled)
		require.Empty(t, b.asked())
		if last := ends[3](); last.err != nil {
			assert.ErrorIs(t, last.err, ErrNoAnswer)
		} else {
			assert.Equal(t, "data of 3", last.data)
		}
	})
}

// TestTurn has the turn come to one whose context has ended. It leaves it to another.
func TestTurn(t *testing.T) {
	for range 20 { // Which of the two it sees first is up to chance.
		withSlow(t, 1, func(t *testing.T, b *slow, s *Calls[string, result]) {
			s.trips = 1
			waiting, gone, _ := s.join("1", time.Time{})
			_, stays, _ := s.join("2", time.Time{})
			s.leave()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, s.wait(ctx, waiting, gone), context.Canceled)
			end := make(chan error, 1)
			go func() { end <- s.wait(t.Context(), waiting, stays) }()
			assert.Equal(t, 1, b.answerAll())
			require.NoError(t, <-end)
			assert.Equal(t, "data of 2", stays.answer.data)
		})
	}
}

// TestAllGiveUp has all that wait give up, before it is their turn and when it is. Others
// go on.
func TestAllGiveUp(t *testing.T) {
	withSlow(t, 1, func(t *testing.T, b *slow, s *Calls[string, result]) {
		ends := ask(t.Context(), s, "0")
		ctx, cancel := context.WithCancel(t.Context())
		gone := ask(ctx, s, "1", "2")
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
			waiting, one, _ := s.join("3", time.Time{})
			if hurried {
				s.hurry(waiting)
			} else {
				s.leave()
			}
			s.giveUp(waiting, one)
			assert.Empty(t, s.waiting)
			assert.False(t, s.gathering)
			if hurried {
				assert.Equal(t, 1, s.trips)
				s.leave()
			}
			assert.Zero(t, s.trips)
		}
		end := ask(t.Context(), s, "4")[0]
		b.answerAll()
		assert.Equal(t, "data of 4", end().data)
	})
}
