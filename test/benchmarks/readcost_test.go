package benchmarks

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/flamego/session"
)

// TestReadCost compares reading one of a thousand sessions with reading one of a
// million. Both are done in turns, so that whatever else the machine does slows
// both alike.
func TestReadCost(t *testing.T) {
	few, many, turns := 1000, 1_000_000, 100
	if testing.Short() {
		many = 50_000
	}
	for _, sys := range []struct {
		name string
		open twoStores
	}{
		{"PostgreSQL", sqlSystems[0].twoStores},
		{"MariaDB", sqlSystems[1].twoStores},
		{"Redis", redisStores},
		{"MongoDB", mongoStores},
	} {
		t.Run(sys.name, func(t *testing.T) {
			begin := time.Now()
			small, large := sys.open(t, few, many)
			t.Logf("filled in %v", time.Since(begin).Round(time.Millisecond))
			var short, long []time.Duration
			for range turns {
				short = append(short, reads(t, small, few)...)
				long = append(long, reads(t, large, many)...)
			}
			slices.Sort(short)
			slices.Sort(long)
			ratio := float64(rank(long, 50)) / float64(rank(short, 50))
			t.Logf("COUNT p50 of %d reads: %v of %d sessions, %v of %d: ratio %.2f (p99 %v and %v)",
				len(long), rank(short, 50), few, rank(long, 50), many, ratio, rank(short, 99), rank(long, 99))
			if ratio >= 2 {
				t.Errorf("reading one of many costs %.2f times as much", ratio)
			}
		})
	}
}

// reads times a few reads of sessions anywhere in the store.
func reads(t *testing.T, st session.Store, n int) []time.Duration {
	t.Helper()
	took := make([]time.Duration, 50)
	for i := range took {
		id := anyOf(n)
		begin := time.Now()
		s, err := st.Read(context.Background(), id)
		took[i] = time.Since(begin)
		if err != nil {
			t.Fatal(err)
		}
		if s.Get("theme") != "dark" {
			t.Fatal("a session that should be there is not")
		}
	}
	return took
}
