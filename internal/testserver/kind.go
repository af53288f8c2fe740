package testserver

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// Kind is a storage system. Its methods may be called concurrently.
type Kind struct {
	Name    string // as command up takes it
	Env     string // the variable that names one that runs
	title   string
	install string // what install.sh is asked for

	installed, started sync.Once
	installErr, err    error
	shared             *Server // what Get has started
}

// The kinds of server.
var (
	Postgres = &Kind{Name: "postgres", title: "PostgreSQL", Env: "TEST_POSTGRES_DSN", install: "postgres"}
	MariaDB  = &Kind{Name: "mariadb", title: "MariaDB", Env: "TEST_MARIADB_DSN", install: "mariadb"}
	// MySQL is of version 9 or later.
	MySQL = &Kind{Name: "mysql", title: "MySQL", Env: "TEST_MYSQL_DSN", install: "mysql"}
	Redis = &Kind{Name: "redis", title: "Redis", Env: "TEST_REDIS_ADDR", install: "redis"}
	// RedisTLS takes only TLS connections. It never comes from the environment.
	RedisTLS = &Kind{Name: "redis-tls", title: "Redis with TLS", install: "redis"}
	// RedisCluster has three masters, nodes 0 to 2, with a replica each. A replica
	// takes over from a master that is gone for about 2 s. Its variable holds a list,
	// separated by commas.
	RedisCluster = &Kind{Name: "redis-cluster", title: "Redis Cluster", Env: "TEST_REDIS_CLUSTER_ADDRS", install: "redis"}
	// RedisSentinel is a master, node 0, its replica, node 1, and three sentinels that
	// watch them, at the Addrs. The replica takes over from a master that is gone for
	// about 2 s. TEST_REDIS_SENTINEL_MASTER is by what name they know the master.
	RedisSentinel = &Kind{Name: "redis-sentinel", title: "Redis Sentinel", Env: "TEST_REDIS_SENTINEL_ADDRS", install: "redis"}
	// Mongo is a server of MongoDB's wire protocol: FerretDB on PostgreSQL with
	// DocumentDB, since MongoDB itself is in no Debian. Its transactions over several
	// documents are not real ones.
	Mongo = &Kind{Name: "mongo", title: "MongoDB's protocol", Env: "TEST_MONGODB_URI", install: "mongo"}
)

// Kinds are those that an environment variable can name.
var Kinds = []*Kind{Postgres, MariaDB, Redis, RedisCluster, RedisSentinel, MySQL, Mongo}

// sentinelMaster is the name that our sentinels know their master by.
const sentinelMaster = "mymaster"

// none begins the value of a variable when there is no such server; the rest says why.
const none = "none: "

// Get returns a server that other tests use at the same time, and that has what
// earlier ones have left. The test cannot pause or kill it.
func (k *Kind) Get(t testing.TB) *Server {
	t.Helper()
	k.possible(t)
	if value := os.Getenv(k.Env); value != "" {
		return k.named(value)
	}
	k.started.Do(func() { k.shared, k.err = k.Launch() })
	if k.err != nil {
		k.absent(t, k.err)
	}
	t.Log(k.shared.Name)
	s := *k.shared
	s.own, s.nodes = nil, nil
	return &s
}

// Start returns an empty server for this test alone, which ends with it.
func (k *Kind) Start(t testing.TB) *Server {
	t.Helper()
	k.possible(t)
	s, err := k.Launch()
	if err != nil {
		k.absent(t, err)
	}
	t.Cleanup(s.Close)
	t.Log(s.Name)
	return s
}

// possible ends the test where there can be no server.
func (k *Kind) possible(t testing.TB) {
	t.Helper()
	value := os.Getenv(k.Env)
	if why, ok := strings.CutPrefix(value, none); ok {
		k.absent(t, errors.New(why))
	}
	// The inner loop is to be quick, and to need nothing.
	if value == "" && testing.Short() {
		k.absent(t, errors.New("with -short no server is started"))
	}
}

// absent skips or fails the test, and does not return.
func (k *Kind) absent(t testing.TB, why error) {
	t.Helper()
	reason := fmt.Sprintf("NOT TESTED: %s: %v", k.title, why)
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// Launch starts a server that the caller closes, and installs it first if it must.
func (k *Kind) Launch() (*Server, error) {
	k.installed.Do(func() { k.installErr = install(k.install) })
	if k.installErr != nil {
		return nil, k.installErr
	}
	return launch(k)
}

// Value is what the environment variable has to be for tests to use a server, or
// none because of err.
func (k *Kind) Value(s *Server, err error) string {
	switch {
	case err != nil:
		return none + strings.Join(strings.Fields(err.Error()), " ")
	case s.DSN != "":
		return s.DSN
	}
	return strings.Join(s.Addrs, ",")
}

// named is the server that a variable names. A value that makes no sense is not found
// out here: the backend under test has the better message.
func (k *Kind) named(value string) *Server {
	s := &Server{Name: k.title + " of " + k.Env, DSN: value}
	if k.install == "redis" {
		s.Addrs = strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
		s.Addr, s.DSN = s.Addrs[0], ""
	}
	if k == RedisSentinel {
		if s.Master = os.Getenv("TEST_REDIS_SENTINEL_MASTER"); s.Master == "" {
			s.Master = sentinelMaster
		}
	}
	return s
}
