package outage

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	gomysql "github.com/go-sql-driver/mysql"
	goredis "github.com/redis/go-redis/v9"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/testproxy"
	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/mysql"
	"github.com/flamego/session/postgres"
	"github.com/flamego/session/redis"
)

// TestMain keeps the drivers from writing every broken connection to the log.
func TestMain(m *testing.M) {
	goredis.SetLogger(new(silence))
	_ = gomysql.SetLogger(new(silence))
	os.Exit(m.Run())
}

type silence struct{}

func (*silence) Printf(context.Context, string, ...any) {}
func (*silence) Print(...any)                           {}

// system is a storage system with a way to reach it through another address.
type system struct {
	name string
	kind *testserver.Kind
	opt  func(s *testserver.Server, addr string) session.Options
}

var systems = []system{
	{"PostgreSQL", testserver.Postgres, func(s *testserver.Server, addr string) session.Options {
		return session.Options{Initer: postgres.Initer(), Config: postgres.Config{DSN: at(s.DSN, s.Addr, addr), InitTable: true}}
	}},
	{"MariaDB", testserver.MariaDB, func(s *testserver.Server, addr string) session.Options {
		return session.Options{Initer: mysql.Initer(), Config: mysql.Config{DSN: at(s.DSN, s.Addr, addr), InitTable: true}}
	}},
	{"Redis", testserver.Redis, func(_ *testserver.Server, addr string) session.Options {
		return session.Options{Initer: redis.Initer(), Config: redis.Config{Options: &redis.Options{Addr: addr}}}
	}},
}

// TestPause stops the server for longer than a request waits.
func TestPause(t *testing.T) {
	each(t, func(t *testing.T, sys system) {
		s := sys.kind.Start(t)
		l := start(t, sys.opt(s, s.Addr))
		l.await(10 * time.Second)
		s.Pause(t)
		time.Sleep(storeTimeout + 2*time.Second)
		s.Resume(t)
		l.await(20 * time.Second)
		noneLost(t, l.check("stopped for 7 s"))
	})
}

// TestKill kills the server with -9, three times, and starts it again.
func TestKill(t *testing.T) {
	each(t, func(t *testing.T, sys system) {
		s := sys.kind.Start(t)
		l := start(t, sys.opt(s, s.Addr))
		for range 3 {
			l.await(20 * time.Second)
			s.Kill(t)
			time.Sleep(time.Second)
			s.Start(t)
		}
		l.await(20 * time.Second)
		noneLost(t, l.check("killed and restarted three times"))
	})
}

// TestConnections has the connections reset, delayed, and fall silent.
func TestConnections(t *testing.T) {
	for spell, lasts := range map[testproxy.Spell]time.Duration{
		testproxy.Reset: 3 * time.Second, testproxy.Delay: 3 * time.Second, testproxy.Silent: storeTimeout + 2*time.Second,
	} {
		t.Run(string(spell), func(t *testing.T) {
			each(t, func(t *testing.T, sys system) {
				s, p := sys.kind.Start(t), testproxy.New(t)
				l := start(t, sys.opt(s, p.Addr(s.Addr)))
				l.await(10 * time.Second)
				p.Cast(spell)
				time.Sleep(lasts)
				p.Cast(testproxy.None)
				l.await(20 * time.Second)
				noneLost(t, l.check("connections "+string(spell)))
			})
		})
	}
}

// at puts another address into a DSN.
func at(dsn, old, addr string) string { return strings.Replace(dsn, old, addr, 1) }

// TestFailover kills a master under load. Another takes over by itself. Redis
// replicates behind its answers, so writes of the last moment may be lost: how
// many is counted, not judged.
func TestFailover(t *testing.T) {
	t.Run("Redis Cluster", func(t *testing.T) {
		s := testserver.RedisCluster.Start(t)
		c := goredis.NewUniversalClient(&goredis.UniversalOptions{Addrs: s.Addrs, ContextTimeoutEnabled: true})
		t.Cleanup(func() { _ = c.Close() })
		failover(t, s, redis.Config{UniversalClient: c}, "master of a cluster killed")
	})
	t.Run("Redis Sentinel", func(t *testing.T) {
		s := testserver.RedisSentinel.Start(t)
		c := goredis.NewUniversalClient(&goredis.UniversalOptions{Addrs: s.Addrs, MasterName: s.Master, ContextTimeoutEnabled: true})
		t.Cleanup(func() { _ = c.Close() })
		failover(t, s, redis.Config{UniversalClient: c}, "master under sentinels killed")
	})
}

func failover(t *testing.T, s *testserver.Server, cfg redis.Config, what string) {
	t.Helper()
	l := start(t, session.Options{Initer: redis.Initer(), Config: cfg})
	l.await(20 * time.Second)
	s.Node(0).Kill(t)
	time.Sleep(time.Second)
	l.await(30 * time.Second)
	if o := l.check(what); o.writes == 0 {
		t.Error("nothing was written")
	}
}

func each(t *testing.T, test func(t *testing.T, sys system)) {
	t.Helper()
	for _, sys := range systems {
		t.Run(sys.name, func(t *testing.T) { test(t, sys) })
	}
}

func noneLost(t *testing.T, o outcome) {
	t.Helper()
	if o.lost > 0 {
		t.Errorf("%d sessions lost a write that was acknowledged", o.lost)
	}
	if o.writes == 0 {
		t.Error("nothing was written")
	}
}
