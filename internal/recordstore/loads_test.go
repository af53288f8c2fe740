package recordstore

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/driver"
)

// held holds the loads of the ID "held", so that others wait.
type held struct {
	driver.Backend
	release chan struct{}
	many    func(ids []string) (map[string]driver.Record, error)

	mu    sync.Mutex
	alone []string // what was loaded by itself
}

func (b *held) SharesLoads() bool { return true }

func (b *held) Load(_ context.Context, id string) (driver.Record, error) {
	if id == "held" {
		<-b.release
		return driver.Record{}, nil
	}
	b.mu.Lock()
	b.alone = append(b.alone, id)
	b.mu.Unlock()
	switch id {
	case "unknown":
		return driver.Record{}, driver.ErrNotFound
	case "broken":
		return driver.Record{}, errBroken
	}
	return driver.Record{Data: []byte("data of " + id)}, nil
}

var errBroken = errors.New("broken")

func (b *held) LoadMany(_ context.Context, ids []string) (map[string]driver.Record, error) {
	return b.many(ids)
}

// loadTogether loads several records, which share one round trip.
func loadTogether(t *testing.T, many func(ids []string) (map[string]driver.Record, error), ids ...string) (all []loaded, alone []string) {
	synctest.Test(t, func(t *testing.T) {
		b := &held{release: make(chan struct{}), many: many}
		l := newLoads(b)
		var wg sync.WaitGroup
		for range max(2, runtime.GOMAXPROCS(0)) {
			wg.Go(func() { _, _ = l.load(t.Context(), "held") })
			synctest.Wait()
		}
		all = make([]loaded, len(ids))
		for i, id := range ids {
			wg.Go(func() {
				defer func() {
					if p := recover(); p != nil {
						all[i].err = p.(error)
					}
				}()
				all[i].record, all[i].err = l.load(t.Context(), id)
			})
			synctest.Wait()
		}
		require.Empty(t, b.alone)
		close(b.release)
		wg.Wait()
		alone = slices.Sorted(slices.Values(b.alone))
	})
	return all, alone
}

// TestTogether checks that each load gets its own record, and that only what was not
// found is asked for once more, by itself.
func TestTogether(t *testing.T) {
	all, alone := loadTogether(t, func(ids []string) (map[string]driver.Record, error) {
		assert.Equal(t, []string{"1", "2", "1", "unknown"}, ids)
		return map[string]driver.Record{"1": {Data: []byte("one")}, "2": {Data: []byte("two")}}, nil
	}, "1", "2", "1", "unknown")
	assert.Equal(t, []string{"unknown"}, alone)
	for i, want := range []string{"one", "two", "one"} {
		assert.NoError(t, all[i].err)
		assert.Equal(t, want, string(all[i].record.Data))
	}
	assert.Equal(t, driver.ErrNotFound, all[3].err)
}

// TestTogetherFailure checks that a failure for one record is none for the others.
func TestTogetherFailure(t *testing.T) {
	all, alone := loadTogether(t, func([]string) (map[string]driver.Record, error) { return nil, errBroken }, "broken", "2")
	assert.Equal(t, []string{"2", "broken"}, alone)
	assert.Equal(t, errBroken, all[0].err)
	assert.NoError(t, all[1].err)
	assert.Equal(t, "data of 2", string(all[1].record.Data))
}

// TestTogetherPanic checks that a panic of a backend is none for the others.
func TestTogetherPanic(t *testing.T) {
	all, alone := loadTogether(t, func([]string) (map[string]driver.Record, error) { panic(errBroken) }, "1", "2")
	assert.Equal(t, []string{"2"}, alone)
	assert.Equal(t, errBroken, all[0].err)
	assert.NoError(t, all[1].err)
}
