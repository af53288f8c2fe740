package testserver

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
)

// recorder notes how a test would end, instead of ending it.
type recorder struct {
	testing.TB
	skip, fatal string
}

func (r *recorder) Helper() {}

func (r *recorder) Skip(args ...any) {
	r.skip = fmt.Sprint(args...)
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) {
	r.fatal = fmt.Sprint(args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) { r.Fatal(fmt.Sprintf(format, args...)) }

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
	t.Setenv(Postgres.Env, "postgres://u:p@db:5432/x?sslmode=disable")
	assert.Equal(t, "postgres://u:p@db:5432/x?sslmode=disable", Postgres.Get(t).DSN)
	t.Setenv(RedisCluster.Env, "a:1,b:2, c:3")
	s := RedisCluster.Get(t)
	assert.Equal(t, "a:1", s.Addr)
	assert.Equal(t, []string{"a:1", "b:2", "c:3"}, s.Addrs)
	t.Setenv(RedisSentinel.Env, "a:1,b:2")
	t.Setenv("TEST_REDIS_SENTINEL_MASTER", "")
	assert.Equal(t, "mymaster", RedisSentinel.Get(t).Master)
	t.Setenv("TEST_REDIS_SENTINEL_MASTER", "other")
	assert.Equal(t, "other", RedisSentinel.Get(t).Master)

	// It is not the test's to stop, and that is no reason to be skipped.
	s.Close()
	for _, do := range []func(testing.TB){s.Pause, s.Resume, s.Kill, s.Start} {
		assert.Contains(t, record(do).fatal, "Kind.Start")
	}
}

// A server that cannot be had skips the test, or fails it when all are required;
// also when command up has not had it.
func TestAbsent(t *testing.T) {
	const want = "NOT TESTED: mysql: out of order"
	t.Setenv(MySQL.Env, none+"out of order")
	t.Setenv("REQUIRE_ALL", "")
	assert.Equal(t, want, record(func(t testing.TB) { MySQL.Get(t) }).skip)
	assert.Equal(t, want, record(func(t testing.TB) { MySQL.Start(t) }).skip)
	t.Setenv("REQUIRE_ALL", "1")
	assert.Equal(t, want, record(func(t testing.TB) { MySQL.Get(t) }).fatal)
}

func TestNoBrowser(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // Nor is there a shell that could install one.
	t.Setenv("REQUIRE_ALL", "")
	assert.Contains(t, record(func(t testing.TB) { Chromium(t) }).skip, "NOT TESTED: chromium: ")
	t.Setenv("REQUIRE_ALL", "1")
	assert.Contains(t, record(func(t testing.TB) { Chromium(t) }).fatal, "NOT TESTED: chromium: ")
}
