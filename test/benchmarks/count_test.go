package benchmarks

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	drivermongo "go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/redis"
	"github.com/flamego/session/sqlite"
)

// TestCount counts 100,000 sessions, of which one in a hundred has expired and was
// not swept. With -short there are 5,000, and then their sessions end.
func TestCount(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 5_000
	}
	expired := n / 100
	mysql9 := sqlSystems[1]
	mysql9.name, mysql9.kind, mysql9.tune = "MySQL", testserver.MySQL, nil
	systems := []struct {
		name string
		kind *testserver.Kind // nil if there is no server
		fill func(t *testing.T, live, expired int) *session.Manager
	}{
		{"memory", nil, fillMemory},
		{"files", nil, fillFiles},
		{"SQLite", nil, fillSQLite},
		{"PostgreSQL", testserver.Postgres, sqlSystems[0].fillExpired},
		{"MariaDB", testserver.MariaDB, sqlSystems[1].fillExpired},
		{"MySQL", testserver.MySQL, mysql9.fillExpired},
		{"Redis", testserver.Redis, fillRedis},
		{"RedisCluster", testserver.RedisCluster, fillCluster},
		{"MongoDB", testserver.Mongo, fillMongo},
	}
	var rows [][]string
	for _, sys := range systems {
		t.Run(sys.name, func(t *testing.T) {
			m := sys.fill(t, n-expired, expired)
			count := func() time.Duration {
				begin := time.Now()
				got, err := m.Count(context.Background())
				took := time.Since(begin)
				if err != nil || got != n-expired {
					t.Fatalf("Count says %d, %v; want %d", got, err, n-expired)
				}
				return took
			}
			count() // Caches.
			var looks []time.Duration
			for range 11 {
				looks = append(looks, count())
			}
			slices.Sort(looks)
			title := sys.name
			if sys.kind != nil {
				title = titled(t, sys.kind)
			}
			if sys.kind == testserver.RedisCluster {
				title += ", Cluster"
			}
			rows = append(rows, []string{title, milli(rank(looks, 50)), milli(rank(looks, 100))})
			if testing.Short() {
				endEverybody(t, m, n)
			}
		})
	}
	report(t, "count", len(systems), []string{"`Count` of 100,000 sessions, ms", "median", "slowest of 11"}, rows)
}

func endEverybody(t *testing.T, m *session.Manager, n int) {
	begin := time.Now()
	if err := m.EndEverybody(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Logf("END everybody: %v for a session", (time.Since(begin) / time.Duration(n)).Round(time.Microsecond))
	if left, err := m.Count(context.Background()); err != nil || left != 0 {
		t.Fatalf("EndEverybody leaves %d, %v", left, err)
	}
}

func fillMemory(t *testing.T, live, expired int) *session.Manager {
	var opt session.Options
	now := time.Now()
	hook.SetClock(&opt, func() time.Time { return now })
	m, ctx := manager(t, opt), context.Background()
	for i := range expired + live {
		if i == expired {
			now = now.Add(2 * time.Hour)
		}
		s, err := m.Store().Read(ctx, key(i))
		if err != nil {
			t.Fatal(err)
		}
		s.Set("theme", "dark")
		if err := m.Store().Save(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// fillFiles writes them as v1.6.6 did, which is quicker than with locks and
// renaming. They are spread over the folders as random IDs are.
func fillFiles(t *testing.T, live, expired int) *session.Manager {
	dir, d := t.TempDir(), data(t)
	for i := range 32 * 32 {
		if err := os.MkdirAll(filepath.Join(dir, letter(i/32), letter(i)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	const writers = 4
	for w := range writers {
		wg.Go(func() {
			for i := w; i < live+expired; i += writers {
				id := letter(i/32) + letter(i) + key(i)
				at := time.Now()
				if i < expired {
					at = at.Add(-2 * time.Hour)
				}
				path := filepath.Join(dir, id[:1], id[1:2], id)
				if err := os.WriteFile(path, d, 0o600); err != nil {
					t.Error(err)
					return
				}
				if err := os.Chtimes(path, at, at); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return manager(t, session.Options{Initer: session.FileIniter(), Config: session.FileConfig{RootDir: dir}})
}

func letter(i int) string { return string("0123456789abcdefghijklmnopqrstuv"[i%32]) }

func fillSQLite(t *testing.T, live, expired int) *session.Manager {
	path := filepath.Join(t.TempDir(), "scale.db")
	m := manager(t, session.Options{Initer: sqlite.Initer(), Config: sqlite.Config{DSN: path, InitTable: true}})
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	exec(t, db, "INSERT INTO sessions (key, data, expired_at) WITH RECURSIVE n AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ?)"+
		" SELECT printf('%032d', i), ?, CASE WHEN i < ? THEN ? ELSE ? END FROM n", live+expired-1, data(t), expired,
		time.Now().Add(-time.Hour).UTC().Format(time.DateTime), time.Now().Add(time.Hour).UTC().Format(time.DateTime))
	return m
}

func (sys sqlSystem) fillExpired(t *testing.T, live, expired int) *session.Manager {
	const table = "counted"
	m, db := sys.open(t, sys.kind.Get(t).DSN, table)
	sys.insert(t, db, table, 1, expired, time.Now().Add(-time.Second), 24*time.Hour)
	sys.insert(t, db, table, expired+1, live, time.Now().Add(time.Hour), 0)
	return m
}

func fillRedis(t *testing.T, live, expired int) *session.Manager {
	c := goredis.NewClient(&goredis.Options{Addr: testserver.Redis.Get(t).Addr, DB: 3})
	return fillKeys(t, c, live, expired)
}

func fillCluster(t *testing.T, live, expired int) *session.Manager {
	c := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: testserver.RedisCluster.Get(t).Addrs})
	return fillKeys(t, c, live, expired)
}

func fillKeys(t *testing.T, c goredis.UniversalClient, live, expired int) *session.Manager {
	t.Cleanup(func() { _ = c.Close() })
	ctx, prefix, d := context.Background(), fmt.Sprintf("scale%d:", time.Now().UnixNano()), data(t)
	for from := 0; from < live+expired; from += 10_000 {
		p := c.Pipeline()
		for i := from; i < min(live+expired, from+10_000); i++ {
			ttl := time.Hour
			if i < expired {
				ttl = time.Millisecond
			}
			p.Set(ctx, prefix+key(i), d, ttl)
		}
		if _, err := p.Exec(ctx); err != nil {
			t.Fatal(err)
		}
	}
	m := manager(t, session.Options{Initer: redis.Initer(), Config: redis.Config{UniversalClient: c, KeyPrefix: prefix}})
	return m
}

func fillMongo(t *testing.T, live, expired int) *session.Manager {
	ctx := context.Background()
	c, err := drivermongo.Connect(ctx, options.Client().ApplyURI(testserver.Mongo.Get(t).DSN).SetRetryWrites(false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Disconnect(ctx) })
	m, coll := mongoStore(t, c, fmt.Sprint("count", time.Now().UnixNano()), live, time.Now().Add(time.Hour))
	fillCollection(t, coll, live, expired, time.Now().Add(-time.Hour))
	return m
}
