package benchmarks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/mongo"
	"github.com/flamego/session/mysql"
	"github.com/flamego/session/postgres"
	"github.com/flamego/session/redis"
	"github.com/flamego/session/sqlite"
)

// perOwner is how many sessions an owner has.
const perOwner = 10

// ownersSystem makes options for a store with a name, at an address other than the
// server's own if there is one.
type ownersSystem struct {
	name string
	kind *testserver.Kind // nil if there is no server
	opt  func(t *testing.T, s *testserver.Server, addr, store string) session.Options
}

var ownersSystems = []ownersSystem{
	{"memory", nil, func(*testing.T, *testserver.Server, string, string) session.Options { return session.Options{} }},
	{"files", nil, func(t *testing.T, _ *testserver.Server, _, store string) session.Options {
		return session.Options{Initer: session.FileIniter(), Config: session.FileConfig{RootDir: filepath.Join(t.TempDir(), store)}}
	}},
	{"SQLite", nil, func(t *testing.T, _ *testserver.Server, _, store string) session.Options {
		return session.Options{Initer: sqlite.Initer(), Config: sqlite.Config{DSN: filepath.Join(t.TempDir(), store+".db"), InitTable: true}}
	}},
	{"PostgreSQL", testserver.Postgres, func(_ *testing.T, s *testserver.Server, addr, store string) session.Options {
		return session.Options{Initer: postgres.Initer(), Config: postgres.Config{DSN: at(s, addr), Table: store, InitTable: true}}
	}},
	{"MariaDB", testserver.MariaDB, mysqlOptions},
	{"MySQL", testserver.MySQL, mysqlOptions},
	{"Redis", testserver.Redis, func(_ *testing.T, _ *testserver.Server, addr, store string) session.Options {
		return session.Options{Initer: redis.Initer(), Config: redis.Config{Options: &redis.Options{Addr: addr}, KeyPrefix: store + ":"}}
	}},
	{"MongoDB", testserver.Mongo, func(_ *testing.T, s *testserver.Server, addr, store string) session.Options {
		o := mongo.Options{}
		return session.Options{Initer: mongo.Initer(), Config: mongo.Config{Options: o.ApplyURI(at(s, addr)), Database: "owners", Collection: store}}
	}},
}

func mysqlOptions(_ *testing.T, s *testserver.Server, addr, store string) session.Options {
	return session.Options{Initer: mysql.Initer(), Config: mysql.Config{DSN: at(s, addr), Table: store, InitTable: true}}
}

var hostPort = regexp.MustCompile(`[\w.-]+:\d{2,5}\b`)

// at is the server's DSN with another address.
func at(s *testserver.Server, addr string) string {
	return strings.Replace(s.DSN, hostPort.FindString(s.DSN), addr, 1)
}

// TestOwners lists the sessions of one owner, beside a few others and beside many, and
// counts the round trips of that and of what goes with it.
func TestOwners(t *testing.T) {
	var rows [][]string
	var servers []string
	counted := make(tripCounts)
	for _, sys := range ownersSystems {
		t.Run(sys.name, func(t *testing.T) {
			var s *testserver.Server
			var addr string
			title := sys.name
			owners := map[string]int{"few": 100, "many": 10_000}
			if testing.Short() {
				owners["many"] = 1_000
			}
			if sys.kind != nil {
				s = sys.kind.Get(t)
				addr = hostPort.FindString(s.DSN)
				title = titled(t, sys.kind)
				servers = append(servers, title)
				countOwners(t, sys, s, addr, counted)
			}
			if sys.name == "MongoDB" { // More are not filled in within minutes.
				owners["many"] = 1_000
				title += ", of 1,000 and 10,000"
			}
			took := listOwners(t, owners, func(store string) session.Options { return sys.opt(t, s, addr, store) })
			rows = append(rows, []string{title, milli(rank(took["few"], 50)), milli(rank(took["many"], 50))})
		})
	}
	report(t, "owners", len(ownersSystems), []string{"p50 of a list of ten, ms", "of 1,000", "of 100,000"}, rows)
	counted.report(t, servers)
}

// listOwners makes stores of few and of many owners, and times lists of one of them, in order.
func listOwners(t *testing.T, owners map[string]int, opt func(store string) session.Options) map[string][]time.Duration {
	ms := make(map[string]*session.Manager)
	for name, n := range owners {
		ms[name] = manager(t, opt(fmt.Sprint(name, time.Now().UnixNano())))
		fillOwners(t, ms[name], n)
	}
	took := make(map[string][]time.Duration)
	for range 1_000 { // In turns, so that both have the same weather.
		for name, m := range ms {
			begin := time.Now()
			list, err := m.Sessions(context.Background(), ownerName(rand.IntN(owners[name])))
			took[name] = append(took[name], time.Since(begin))
			if err != nil || len(list) != perOwner {
				t.Fatalf("%d sessions are listed, %v; want %d", len(list), err, perOwner)
			}
		}
	}
	for _, d := range took {
		slices.Sort(d)
	}
	return took
}

func ownerName(i int) string { return fmt.Sprint("user", i) }

// fillOwners signs everybody in, through the Store.
func fillOwners(t *testing.T, m *session.Manager, owners int) {
	ctx := context.Background()
	const writers = 4
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < owners; i += writers {
				for j := range perOwner {
					s, err := m.Store().Read(ctx, letter(i/32)+letter(i)+key(i*perOwner+j))
					if err == nil {
						s.Set("theme", "dark")
						err = session.SetOwner(s, ownerName(i))
					}
					if err == nil {
						err = m.Store().Save(ctx, s)
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}
