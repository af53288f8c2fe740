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
// Chromium is the browser for tests that need a real one.
//
// A test that gets no server is skipped, with a reason that begins with
// "NOT TESTED: ". With REQUIRE_ALL=1 it fails. With -short only servers named in
// the environment are used.
package testserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Kind is a storage system. Its methods may be called concurrently.
type Kind struct {
	Name string // as command up takes it
	Env  string // the variable that names one that runs; a list is separated by commas

	dsn    string   // with ADDR where the address belongs
	script string   // for sh, runs a server in a folder of its own, and uses the data it finds
	parent string   // of the folder; "" for the temporary one
	conf   string   // $CONF of the script
	others []string // those of other nodes, where NODE0 is the host and port of the first
	inner  int      // so many nodes are not for clients
	ask    func(ctx context.Context, dsn string) error
	join   func(addrs []string) error // waits until all nodes work together

	once   sync.Once
	shared *Server // what Get has started
}

func (k *Kind) at(addr string) string { return strings.Replace(k.dsn, "ADDR", addr, 1) }

// Kinds are those that an environment variable can name.
var Kinds = []*Kind{Postgres, MariaDB, Redis, RedisCluster, RedisSentinel, MySQL, Mongo}

// none begins the DSN when there is no such server; the rest says why.
const none = "none: "

// Get returns a server that other tests use at the same time, and that has what
// earlier ones have left. The test cannot pause or kill it.
func (k *Kind) Get(t testing.TB) *Server {
	t.Helper()
	dsn := os.Getenv(k.Env)
	if dsn == "" {
		k.once.Do(func() { k.shared = k.launch() })
		dsn = k.shared.DSN
	}
	k.require(t, dsn)
	addrs := strings.FieldsFunc(dsn, func(r rune) bool { return r == ',' || r == ' ' })
	return &Server{Name: k.Name, DSN: dsn, Addr: addrs[0], Addrs: addrs, Master: cmp.Or(os.Getenv("TEST_REDIS_SENTINEL_MASTER"), master)}
}

// Start returns an empty server for this test alone, which ends with it.
func (k *Kind) Start(t testing.TB) *Server {
	t.Helper()
	k.require(t, os.Getenv(k.Env))
	s := k.launch()
	t.Cleanup(s.Close)
	k.require(t, s.DSN)
	return s
}

// require skips or fails the test where there is no server, and does not return.
func (k *Kind) require(t testing.TB, dsn string) {
	t.Helper()
	if why, missing := strings.CutPrefix(dsn, none); missing {
		absent(t, k.Name, why)
	}
}

// absent does not return.
func absent(t testing.TB, what, why string) {
	t.Helper()
	reason := fmt.Sprintf("NOT TESTED: %s: %s", what, why)
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// Chromium returns the path of the browser, which is installed like a server if it is
// not there.
func Chromium(t testing.TB) string {
	t.Helper()
	path, err := findChromium()
	if err != nil && !testing.Short() {
		if err = install("chromium"); err == nil {
			path, err = findChromium()
		}
	}
	if err != nil {
		absent(t, "chromium", strings.Join(strings.Fields(err.Error()), " "))
	}
	return path
}

func findChromium() (path string, err error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err = exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", err
}

// launch starts nothing with -short: the inner loop is to be quick.
func (k *Kind) launch() *Server {
	if testing.Short() {
		return &Server{DSN: none + "with -short no server is started"}
	}
	return k.Launch()
}

// Launch starts a server that the caller closes, and installs it first if it must.
// Where that fails, its DSN says so to tests that get it by the environment variable.
func (k *Kind) Launch() *Server {
	s := &Server{Name: k.Name, Master: master}
	if err := s.launch(k); err != nil {
		s.Close()
		s.DSN = none + strings.Join(strings.Fields(err.Error()), " ")
	}
	return s
}

// cacheDir is where install.sh keeps things for the next test.
func cacheDir() string {
	if dir := os.Getenv("FLAMEGO_SESSION_CACHE"); dir != "" { // For CI.
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "flamego-session-testserver")
}

// Server is a server of a storage system, or several that work together.
type Server struct {
	Name   string   // for errors
	DSN    string   // for the backend's Config, without parameters; of Redis, the Addrs
	Addrs  []string // host:port: of Redis, and of what the test has started
	Addr   string   // the first of them
	Master string   // what sentinels call their master

	nodes []*instance // none if others use it, too
}

const master = "mymaster"

// Node returns one node, with methods that affect it alone.
func (s *Server) Node(i int) *Server { return &Server{Name: s.Name, nodes: s.nodes[i : i+1]} }

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
// it had, and waits until it answers.
func (s *Server) Start(t testing.TB) { t.Helper(); s.must(t, (*instance).start) }

// Close ends the server and removes its data. Tests need not call it.
func (s *Server) Close() { _ = s.each((*instance).close) }

func (s *Server) must(t testing.TB, do func(*instance) error) {
	t.Helper()
	if err := s.each(do); err != nil {
		t.Fatalf("testserver: %s: %v", s.Name, err)
	}
}

func (s *Server) each(do func(*instance) error) (err error) {
	if len(s.nodes) == 0 {
		return errors.New("others use this server, too: get one of the test's own by Kind.Start")
	}
	for _, n := range s.nodes {
		err = errors.Join(err, do(n))
	}
	return err
}
