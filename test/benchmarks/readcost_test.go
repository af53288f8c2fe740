package benchmarks

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/testserver"
)

// TestReadCost compares reading one of a thousand sessions with reading one of a
// million. Both are done in turns, so that whatever else the machine does slows
// both alike.
func TestReadCost(t *testing.T) {
	few, many, turns := 1000, 1_000_000, 100
	if testing.Short() {
		many = 50_000
	}
	systems := []struct {
		name string
		kind *testserver.Kind
		open twoStores
	}{
		{"PostgreSQL", testserver.Postgres, sqlSystems[0].twoStores},
		{"MariaDB", testserver.MariaDB, sqlSystems[1].twoStores},
		{"Redis", testserver.Redis, redisStores},
		{"MongoDB", testserver.Mongo, mongoStores},
	}
	var rows [][]string
	for _, sys := range systems {
		t.Run(sys.name, func(t *testing.T) {
			many, title := many, titled(t, sys.kind)
			if sys.kind == testserver.Mongo { // More are not filled in within minutes.
				many, title = many/10, title+", of 1,000 and 100,000"
			}
			small, large := sys.open(t, few, many)
			var short, long []time.Duration
			for range turns {
				short = append(short, reads(t, small, few)...)
				long = append(long, reads(t, large, many)...)
			}
			slices.Sort(short)
			slices.Sort(long)
			ratio := float64(rank(long, 50)) / float64(rank(short, 50))
			rows = append(rows, []string{title, micro(rank(short, 50)), micro(rank(long, 50)), fmt.Sprintf("%.2f", ratio)})
			if ratio >= 2 {
				t.Errorf("reading one of many costs %.2f times as much", ratio)
			}
		})
	}
	report(t, "read-cost", len(systems), []string{"p50 of a read over one connection, µs", "of 1,000", "of 1,000,000", "×"}, rows)
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
