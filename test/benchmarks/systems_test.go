package benchmarks

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"
	goredis "github.com/redis/go-redis/v9"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/mysql"
	"github.com/flamego/session/postgres"
	"github.com/flamego/session/redis"
)

// sqlSystem is a database with a quick way to make many sessions.
type sqlSystem struct {
	name, driver string
	kind         *testserver.Kind
	opt          func(dsn, table string) session.Options
	// single makes options whose stores share one connection.
	single func(t *testing.T, dsn string) func(table string) session.Options
	// fill makes rows in the order of their numbers, from the fourth parameter to
	// the fifth, with keys as of key. They expire at a random moment within so many
	// seconds before a given one.
	fill string
	// tune gives a server of the test's own the memory that one with so many
	// sessions would have.
	tune []string
	// settle does, of a table, what the server would do within a minute by itself.
	settle []string
}

var sqlSystems = []sqlSystem{
	{
		name: "PostgreSQL", driver: "pgx", kind: testserver.Postgres,
		opt: func(dsn, table string) session.Options {
			return session.Options{Initer: postgres.Initer(), Config: postgres.Config{DSN: dsn, Table: table, InitTable: true}}
		},
		single: func(t *testing.T, dsn string) func(table string) session.Options {
			cfg, err := pgxpool.ParseConfig(dsn)
			if err != nil {
				t.Fatal(err)
			}
			cfg.MaxConns = 1
			pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(pool.Close)
			return func(table string) session.Options {
				return session.Options{Initer: postgres.Initer(), Config: postgres.Config{Pool: pool, Table: table}}
			}
		},
		fill: "INSERT INTO %s (key, data, expired_at) SELECT lpad(i::text, 32, '0'), $1, $2::timestamptz - random() * $3::int * interval '1 second'" +
			" FROM generate_series($4::int, $5::int) i",
		settle: []string{"VACUUM ANALYZE %s", "CHECKPOINT"},
	},
	{
		name: "MariaDB", driver: "mysql", kind: testserver.MariaDB,
		opt: func(dsn, table string) session.Options {
			return session.Options{Initer: mysql.Initer(), Config: mysql.Config{DSN: dsn, Table: table, InitTable: true}}
		},
		single: func(t *testing.T, dsn string) func(table string) session.Options {
			db, err := sql.Open("mysql", dsn)
			if err != nil {
				t.Fatal(err)
			}
			db.SetMaxOpenConns(1)
			t.Cleanup(func() { _ = db.Close() })
			return func(table string) session.Options {
				return session.Options{Initer: mysql.Initer(), Config: mysql.Config{DB: db, Table: table}}
			}
		},
		// A recursion of more than 1,000 steps would need a setting.
		fill: "INSERT INTO %s (`key`, data, expired_at) WITH RECURSIVE n AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 999)" +
			" SELECT LPAD(r.i, 32, '0'), ?, ? - INTERVAL RAND() * ? SECOND FROM (SELECT ? + a.i * 1000 + b.i AS i FROM n a JOIN n b) r WHERE r.i <= ?",
		tune:   []string{"SET GLOBAL innodb_buffer_pool_size = 1 << 30", "SET GLOBAL innodb_log_file_size = 512 << 20"},
		settle: []string{"ANALYZE TABLE %s"},
	},
}

// fillStep is how many sessions are made by one statement.
const fillStep = 100_000

// open returns a Manager that sweeps only when told to, and a connection beside it.
func (sys sqlSystem) open(t *testing.T, dsn, table string) (*session.Manager, *sql.DB) {
	t.Helper()
	m := manager(t, sys.opt(dsn, table))
	db, err := sql.Open(sys.driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if os.Getenv(sys.kind.Env) == "" {
		for _, q := range sys.tune {
			exec(t, db, q)
		}
	}
	exec(t, db, "DELETE FROM "+table) // A server from the environment may have been here before.
	return m, db
}

// insert makes n sessions, whose numbers begin at first, and lets them settle.
func (sys sqlSystem) insert(t *testing.T, db *sql.DB, table string, first, n int, expiry time.Time, spread time.Duration) {
	t.Helper()
	for from, end := first, first+n-1; from <= end; from += fillStep {
		exec(t, db, fmt.Sprintf(sys.fill, table), data(t), expiry.UTC(), int(spread.Seconds()), from, min(end, from+fillStep-1))
	}
	for _, q := range sys.settle {
		exec(t, db, strings.ReplaceAll(q, "%s", table))
	}
}

func exec(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// key is the ID of a session that insert has made.
func key(i int) string { return fmt.Sprintf("%032d", i) }

func manager(t *testing.T, opt session.Options) *session.Manager {
	t.Helper()
	opt.GCInterval = 1000 * time.Hour
	m, err := session.NewManager(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close(context.Background()) })
	return m
}

// data is a session as applications have them.
func data(t *testing.T) []byte {
	t.Helper()
	b, err := session.GobEncoder(session.Data{
		"user_id": int64(1234567),
		"name":    "Ada Lovelace",
		"roles":   []string{"editor", "reviewer"},
		"csrf":    "b5bb9d8014a0f9b1d61e21e796d78dcc",
		"theme":   "dark",
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// twoStores opens one store with few sessions and one with many, on one server.
type twoStores func(t *testing.T, few, many int) (small, large session.Store)

// twoStores are two tables over one connection: with two, one may be served by
// the core that asks and the other by one that has to be woken up.
func (sys sqlSystem) twoStores(t *testing.T, few, many int) (small, large session.Store) {
	s := sys.kind.Get(t)
	expiry := time.Now().Add(time.Hour)
	for table, n := range map[string]int{"small": few, "large": many} {
		_, db := sys.open(t, s.DSN, table)
		sys.insert(t, db, table, 0, n, expiry, 0)
	}
	opt := sys.single(t, s.DSN)
	return manager(t, opt("small")).Store(), manager(t, opt("large")).Store()
}

// redisStores puts them into two databases, as the cost could only depend on the
// number of keys in one.
func redisStores(t *testing.T, few, many int) (small, large session.Store) {
	s := testserver.Redis.Get(t)
	fill := func(db, n int) session.Store {
		ctx := context.Background()
		opt := &redis.Options{Addr: s.Addr, DB: db}
		c := goredis.NewClient(opt)
		defer func() { _ = c.Close() }()
		d := data(t)
		for from := 0; from < n; from += 10_000 {
			p := c.Pipeline()
			for i := from; i < min(n, from+10_000); i++ {
				p.Set(ctx, "scale:"+key(i), d, time.Hour)
			}
			if _, err := p.Exec(ctx); err != nil {
				t.Fatal(err)
			}
		}
		return manager(t, session.Options{Initer: redis.Initer(), Config: redis.Config{Options: opt, KeyPrefix: "scale:"}}).Store()
	}
	return fill(1, few), fill(2, many)
}

// anyOf is the ID of one of n sessions.
func anyOf(n int) string { return key(rand.IntN(n)) }
