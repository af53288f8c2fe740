package session_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flamego/session"
)

// slowSweep takes a second for each full batch, three times.
type slowSweep struct {
	*mapBackend
	begun []time.Time
}

const batchTime = time.Second

func (b *slowSweep) DeleteExpired(_ context.Context, _ time.Time, limit int) (int, error) {
	b.begun = append(b.begun, time.Now())
	if len(b.begun) > 3 {
		return limit - 1, nil
	}
	time.Sleep(batchTime)
	return limit, nil
}

// TestSweepPauses checks that a sweep leaves the database to others for at least half
// of the time, and that a stopping server does not wait for it.
func TestSweepPauses(t *testing.T) {
	t.Run("between batches", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := &slowSweep{mapBackend: newMapBackend()}
			begin := time.Now()
			if err := session.NewStore(b, session.StoreConfig{}).GC(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took, want := time.Since(begin), 6*batchTime; took != want {
				t.Errorf("three batches and an incomplete one took %v, want %v", took, want)
			}
			for i := 1; i < len(b.begun); i++ {
				if gap := b.begun[i].Sub(b.begun[i-1]); gap != 2*batchTime {
					t.Errorf("batch %d began %v after the one before, want %v", i, gap, 2*batchTime)
				}
			}
		})
	})
	t.Run("ended by the context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := &slowSweep{mapBackend: newMapBackend()}
			ctx, cancel := context.WithTimeout(t.Context(), batchTime*3/2)
			defer cancel()
			begin := time.Now()
			err := session.NewStore(b, session.StoreConfig{}).GC(ctx)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error: %v", err)
			}
			if took := time.Since(begin); took != batchTime*3/2 || len(b.begun) != 1 {
				t.Errorf("it ended after %v and %d batches", took, len(b.begun))
			}
		})
	})
}
