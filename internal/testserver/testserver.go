// Package testserver gives tests of backends the servers they need.
//
//	dsn := testserver.Postgres.Get(t).DSN // shared with other tests
//
//	s := testserver.Postgres.Start(t) // of this test alone, ends with it
//	s.Kill(t)
//
// Get takes the server that an environment variable names: make test sets them all,
// by command up. Without the variable it starts one that ends with the process.
//
// Servers are started on Linux, in a temporary folder and on 127.0.0.1. On Debian,
// root gets installed what is missing, by install.sh: PostgreSQL, MariaDB and Redis
// as packages, MySQL and FerretDB into the cache folder, which takes half a minute
// each, once. That folder is $FLAMEGO_SESSION_CACHE, or flamego-session-testserver in
// the user's cache folder.
//
// A test that gets no server is skipped, with a reason that begins with
// "NOT TESTED: ". With REQUIRE_ALL=1 it fails. With -short only servers named in
// the environment are used.
package testserver

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// Kind is a storage system. Its methods may be called concurrently.
type Kind struct {
	Name string // as command up takes it
	Env  string // the variable that names one that runs; a list is separated by commas

	once   sync.Once
	shared *Server // what Get has started
	err    error
}

// The kinds of server.
var (
	Postgres = &Kind{Name: "postgres", Env: "TEST_POSTGRES_DSN"}
	MariaDB  = &Kind{Name: "mariadb", Env: "TEST_MARIADB_DSN"}
	MySQL    = &Kind{Name: "mysql", Env: "TEST_MYSQL_DSN"} // 9 or later
	Redis    = &Kind{Name: "redis", Env: "TEST_REDIS_ADDR"}
	// RedisTLS takes only TLS connections. It never comes from the environment.
	RedisTLS = &Kind{Name: "redis-tls"}
	// RedisCluster has three masters, nodes 0 to 2, with a replica each. A replica
	// takes over from a master that is gone for about 2 s.
	RedisCluster = &Kind{Name: "redis-cluster", Env: "TEST_REDIS_CLUSTER_ADDRS"}
	// RedisSentinel is a master, node 0, its replica, node 1, and three sentinels at
	// the Addrs, that call the master what TEST_REDIS_SENTINEL_MASTER says. The replica
	// takes over from a master that is gone for about 2 s.
	RedisSentinel = &Kind{Name: "redis-sentinel", Env: "TEST_REDIS_SENTINEL_ADDRS"}
	// Mongo is a server of MongoDB's wire protocol: FerretDB on PostgreSQL with
	// DocumentDB, since MongoDB itself is in no Debian. Its transactions over several
	// documents are not real ones.
	Mongo = &Kind{Name: "mongo", Env: "TEST_MONGODB_URI"}
)

// Kinds are those that an environment variable can name.
var Kinds = []*Kind{Postgres, MariaDB, Redis, RedisCluster, RedisSentinel, MySQL, Mongo}

// none begins the value of a variable when there is no such server; the rest says why.
const none = "none: "

// Get returns a server that other tests use at the same time, and that has what
// earlier ones have left. The test cannot pause or kill it.
func (k *Kind) Get(t testing.TB) *Server {
	t.Helper()
	value := k.value(t)
	if value == "" {
		k.long(t)
		if k.once.Do(func() { k.shared, k.err = k.Launch() }); k.err != nil {
			k.absent(t, k.err.Error())
		}
		s := *k.shared
		s.own, s.nodes = nil, nil
		return &s
	}
	s := &Server{Name: k.Env, DSN: value, Master: cmp.Or(os.Getenv("TEST_REDIS_SENTINEL_MASTER"), "mymaster")}
	if strings.HasPrefix(k.Name, "redis") {
		s.Addrs = strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
		s.Addr = s.Addrs[0]
	}
	return s
}

// Start returns an empty server for this test alone, which ends with it.
func (k *Kind) Start(t testing.TB) *Server {
	t.Helper()
	_ = k.value(t)
	k.long(t)
	s, err := k.Launch()
	if err != nil {
		k.absent(t, err.Error())
	}
	t.Cleanup(s.Close)
	return s
}

// value is that of the variable. It ends the test where there can be no server.
func (k *Kind) value(t testing.TB) string {
	t.Helper()
	value := os.Getenv(k.Env)
	if why, ok := strings.CutPrefix(value, none); ok {
		k.absent(t, why)
	}
	return value
}

// long ends the test with -short: the inner loop is to be quick.
func (k *Kind) long(t testing.TB) {
	t.Helper()
	if testing.Short() {
		k.absent(t, "with -short no server is started")
	}
}

// absent skips or fails the test, and does not return.
func (k *Kind) absent(t testing.TB, why string) {
	t.Helper()
	reason := fmt.Sprintf("NOT TESTED: %s: %s", k.Name, why)
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// Launch starts a server that the caller closes, and installs it first if it must.
func (k *Kind) Launch() (*Server, error) {
	system, _, _ := strings.Cut(k.Name, "-")
	if err := install(system); err != nil {
		return nil, err
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

// Server is a server of a storage system.
type Server struct {
	Name   string      // for errors
	Addr   string      // host:port for Redis, and of what the test has started
	Addrs  []string    // all of them: of a cluster, or of sentinels
	DSN    string      // for the backend's Config, without parameters; not for Redis
	Master string      // what sentinels call their master
	TLS    *tls.Config // what clients of RedisTLS need

	own     *instance    // nil if it isn't the test's own, or has nodes
	nodes   []*Server    // of a cluster, or a master with replica and sentinels
	settled func() error // nil when all nodes work together
}

// Node returns one node, with methods that affect it alone.
func (s *Server) Node(i int) *Server { return s.nodes[i] }

// Pause stops all processes of the server, as a machine that hangs: connections
// stay open, new ones are accepted by the kernel, nothing is answered. Like Resume,
// Kill and Start it is for a server that the test has started.
func (s *Server) Pause(t testing.TB) { t.Helper(); s.must(t, (*instance).pause) }

// Resume lets a paused server go on.
func (s *Server) Resume(t testing.TB) { t.Helper(); s.must(t, (*instance).resume) }

// Kill ends all processes of the server with SIGKILL, paused or not. When it
// returns they are gone. What the server has acknowledged survives.
func (s *Server) Kill(t testing.TB) { t.Helper(); s.must(t, (*instance).kill) }

// Start starts the server again after Kill, at the same address and with the data
// it had, and waits until it answers; a whole cluster also until its nodes agree
// again, which takes about 2 s.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	err := s.each((*instance).start)
	if err == nil && s.settled != nil {
		err = s.settled()
	}
	if err != nil {
		t.Fatalf("testserver: %s: %v", s.Name, err)
	}
}

// Close ends the server and removes its data. Tests need not call it.
func (s *Server) Close() { _ = s.each((*instance).close) }

func (s *Server) must(t testing.TB, do func(*instance) error) {
	t.Helper()
	if err := s.each(do); err != nil {
		t.Fatalf("testserver: %s: %v", s.Name, err)
	}
}

func (s *Server) each(do func(*instance) error) (err error) {
	if s.own != nil {
		return do(s.own)
	}
	if len(s.nodes) == 0 {
		return errors.New("others use this server, too: get one of the test's own by Kind.Start")
	}
	for _, n := range s.nodes {
		err = errors.Join(err, n.each(do))
	}
	return err
}
