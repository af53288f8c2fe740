package benchmarks

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// tolerance is what sweeping may add to what the slowest hundredth of the
// requests take.
const tolerance = 50 * time.Millisecond

// TestSweepMillion sweeps a million expired sessions while visitors are at work.
func TestSweepMillion(t *testing.T) {
	expired, live, idle := 1_000_000, 10_000, 5*time.Second
	if testing.Short() {
		expired, idle = 50_000, time.Second
	}
	var rows [][]string
	for _, sys := range sqlSystems {
		t.Run(sys.name, func(t *testing.T) {
			s := sys.kind.Get(t)
			const table = "sweep"
			m, db := sys.open(t, s.DSN, table)
			begin := time.Now()
			sys.insert(t, db, table, 1, expired, begin, 24*time.Hour)
			sys.insert(t, db, table, expired+1, live, begin.Add(time.Hour), 0)

			l := newLoad(t, m)
			l.during(func() { time.Sleep(time.Second) }) // Connections, statements, caches.
			before := l.during(func() { time.Sleep(idle) })
			during := l.during(func() {
				if err := m.Store().GC(context.Background()); err != nil {
					t.Error(err)
				}
			})
			title := titled(t, sys.kind)
			rows = append(rows, before.row(title+", nothing to sweep"), during.row(title+", while sweeping"))

			if more := rank(during.read, 99) - rank(before.read, 99); more > tolerance {
				t.Errorf("p99 of a read: %v more", more)
			}
			if more := rank(during.write, 99) - rank(before.write, 99); more > tolerance {
				t.Errorf("p99 of a write: %v more", more)
			}
			var old, left int
			err := db.QueryRow(fmt.Sprintf("SELECT SUM(CASE WHEN expired_at <= '%s' THEN 1 ELSE 0 END), COUNT(*) FROM %s",
				begin.UTC().Format(time.DateTime), table)).Scan(&old, &left)
			if err != nil {
				t.Fatal(err)
			}
			if want := live + clients; old != 0 || left != want {
				t.Errorf("%d of %d expired sessions are left, and %d of %d live ones", old, expired, left-old, want)
			}
		})
	}
	report(t, "sweep", 2*len(sqlSystems), []string{"sweeping a million expired rows", "s", "requests", "p50 read, ms", "write", "p99 read", "write", "slowest"}, rows)
}
