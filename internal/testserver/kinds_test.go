package testserver

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorder notes how a test would end, instead of ending it.
type recorder struct {
	testing.TB
	skip, fatal string
	cleanups    int
}

func (r *recorder) Helper()        {}
func (r *recorder) Log(...any)     {}
func (r *recorder) Cleanup(func()) { r.cleanups++ }
func (r *recorder) Skip(args ...any) {
	r.skip = fmt.Sprint(args...)
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) {
	r.fatal = fmt.Sprint(args...)
	runtime.Goexit()
}

// record runs f as a test is run.
func record(f func(t testing.TB)) *recorder {
	r := new(recorder)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	return r
}

func TestEnvironment(t *testing.T) {
	for _, test := range []struct {
		env, value, addr string
		addrs            []string
		dsn              string
		get              func(testing.TB) *Server
	}{
		{"TEST_POSTGRES_DSN", "postgres://u:p@db:5432/x?sslmode=disable", "db:5432", []string{"db:5432"}, "postgres://u:p@db:5432/x?sslmode=disable", Postgres},
		{"TEST_MARIADB_DSN", "u:p@tcp(db:3306)/x", "db:3306", []string{"db:3306"}, "u:p@tcp(db:3306)/x", MariaDB},
		{"TEST_MYSQL_DSN", "u:p@tcp(db:3306)/x", "db:3306", []string{"db:3306"}, "u:p@tcp(db:3306)/x", MySQL},
		{"TEST_MONGODB_URI", "mongodb://db:27017/", "db:27017", []string{"db:27017"}, "mongodb://db:27017/", Mongo},
		{"TEST_REDIS_ADDR", "db:6379", "db:6379", []string{"db:6379"}, "", Redis},
		{"TEST_REDIS_CLUSTER_ADDRS", "a:1,b:2, c:3", "a:1", []string{"a:1", "b:2", "c:3"}, "", RedisCluster},
	} {
		t.Run(test.env, func(t *testing.T) {
			t.Setenv("REQUIRE_ALL", "")
			t.Setenv(test.env, test.value)
			s := test.get(t)
			assert.Equal(t, test.addr, s.Addr)
			assert.Equal(t, test.addrs, s.Addrs)
			assert.Equal(t, test.dsn, s.DSN)
			assert.Contains(t, s.Name, test.env)
			s.Close() // It is not ours to end.

			// Nor to stop.
			for what, do := range map[string]func(testing.TB){"pause": s.Pause, "resume": s.Resume, "kill": s.Kill, "start": s.Start} {
				r := record(do)
				assert.Regexp(t, "^NOT TESTED: .*outages", r.skip, what)
			}
			t.Setenv("REQUIRE_ALL", "1")
			assert.Regexp(t, "^NOT TESTED: .*outages", record(s.Kill).fatal)
		})
	}
	t.Run("sentinels", func(t *testing.T) {
		t.Setenv("TEST_REDIS_SENTINEL_ADDRS", "a:1,b:2")
		s, master := RedisSentinel(t)
		assert.Equal(t, []string{"a:1", "b:2"}, s.Addrs)
		assert.Equal(t, "mymaster", master)
		t.Setenv("TEST_REDIS_SENTINEL_MASTER", "other")
		_, master = RedisSentinel(t)
		assert.Equal(t, "other", master)
	})
}

// A server that cannot be had skips the test, or fails it when all are required.
func TestAbsent(t *testing.T) {
	was := starters
	starters = map[string]func() (*Server, error){"redis": func() (*Server, error) { return nil, assert.AnError }}
	t.Cleanup(func() { starters = was })
	for _, name := range []string{"TEST_REDIS_ADDR", "TEST_POSTGRES_DSN", "REQUIRE_ALL"} {
		t.Setenv(name, "")
	}
	redis := func(t testing.TB) { Redis(t) }
	r := record(redis)
	require.Regexp(t, "^NOT TESTED: Redis: ", r.skip)
	assert.Zero(t, r.cleanups)
	if testing.Short() {
		assert.Contains(t, r.skip, "-short")
	} else {
		assert.Contains(t, r.skip, assert.AnError.Error())
		r = record(func(t testing.TB) { Postgres(t) })
		assert.Contains(t, r.skip, "linux only; set TEST_POSTGRES_DSN")
	}
	t.Setenv("REQUIRE_ALL", "1")
	assert.Regexp(t, "^NOT TESTED: Redis: ", record(redis).fatal)
}

func TestKinds(t *testing.T) {
	assert.Equal(t, []string{"postgres", "mariadb", "redis", "redis-cluster", "redis-sentinel"}, Kinds(false))
	assert.Equal(t, append(Kinds(false), "mysql", "mongo"), Kinds(true))
}
