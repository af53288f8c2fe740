package testserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
)

// kind is a storage system.
type kind struct {
	name    string // as cmd up takes it, and in starters
	title   string
	env     string // names a server that runs already; "" when that makes no sense
	slow    bool   // second tier: much to prepare before the first start
	fromEnv func(value string) *Server
}

var kinds = []kind{
	{name: "postgres", title: "PostgreSQL", env: "TEST_POSTGRES_DSN", fromEnv: serverAtURL},
	{name: "mariadb", title: "MariaDB", env: "TEST_MARIADB_DSN", fromEnv: serverAtDSN},
	{name: "redis", title: "Redis", env: "TEST_REDIS_ADDR", fromEnv: serversAt},
	{name: "redis-cluster", title: "Redis cluster", env: "TEST_REDIS_CLUSTER_ADDRS", fromEnv: serversAt},
	{name: "redis-sentinel", title: "Redis sentinel", env: "TEST_REDIS_SENTINEL_ADDRS", fromEnv: serversAt},
	{name: "redis-tls", title: "Redis with TLS"},
	{name: "mysql", title: "MySQL", env: "TEST_MYSQL_DSN", fromEnv: serverAtDSN, slow: true},
	{name: "mongo", title: "MongoDB's protocol", env: "TEST_MONGODB_URI", fromEnv: serverAtURL, slow: true},
}

// sentinelMaster is the name that the sentinels know their master by.
const sentinelMaster = "mymaster"

// Postgres returns a PostgreSQL with an empty database.
func Postgres(t testing.TB) *Server { t.Helper(); return get(t, "postgres") }

// MariaDB returns a MariaDB with an empty database.
func MariaDB(t testing.TB) *Server { t.Helper(); return get(t, "mariadb") }

// MySQL returns a MySQL, of version 9 or later, with an empty database. The first
// one on a machine takes half a minute.
func MySQL(t testing.TB) *Server { t.Helper(); return get(t, "mysql") }

// Redis returns a single Redis. It keeps its data when it is killed.
func Redis(t testing.TB) *Server { t.Helper(); return get(t, "redis") }

// RedisTLS returns a single Redis that takes only TLS connections, and the
// configuration that trusts its certificate. It never comes from the environment.
func RedisTLS(t testing.TB) (*Server, *tls.Config) {
	t.Helper()
	s := get(t, "redis-tls")
	return s, s.extra.(*tls.Config).Clone()
}

// RedisCluster returns a cluster of three masters with a replica each. A replica
// takes over from a master that is gone for about 2 s.
func RedisCluster(t testing.TB) *Server { t.Helper(); return get(t, "redis-cluster") }

// RedisSentinel returns three sentinels that watch a master with a replica, and
// the name they know the master by. The replica takes over from a master that is
// gone for about 2 s.
func RedisSentinel(t testing.TB) (s *Server, master string) {
	t.Helper()
	s = get(t, "redis-sentinel")
	master = os.Getenv("TEST_REDIS_SENTINEL_MASTER")
	if master == "" || s.nodes != nil { // The variable is not about ours.
		master = sentinelMaster
	}
	return s, master
}

// Mongo returns a server of MongoDB's wire protocol: FerretDB in front of
// PostgreSQL with the DocumentDB extension, since MongoDB itself is in no Debian.
// Its transactions over several documents are not real ones. The first one on a
// machine takes two minutes.
func Mongo(t testing.TB) *Server { t.Helper(); return get(t, "mongo") }

// get follows the order of the package documentation: environment, installed,
// to be installed; the starters know the latter two.
func get(t testing.TB, name string) *Server {
	t.Helper()
	k := kindOf(name)
	if value := os.Getenv(k.env); k.env != "" && value != "" {
		s := k.fromEnv(value)
		s.Name = k.title + " of " + k.env
		t.Log(s.Name)
		return s
	}
	// The inner loop is to be quick, and to need nothing.
	if testing.Short() {
		absent(t, k.title, errors.New("with -short no server is started; run without it, or set "+k.env))
	}
	s, err := launch(k)
	if err != nil {
		absent(t, k.title, err)
	}
	t.Cleanup(s.Close)
	t.Log(s.Name)
	return s
}

// absent skips or fails the test, and does not return.
func absent(t testing.TB, title string, why error) {
	t.Helper()
	reason := fmt.Sprintf("NOT TESTED: %s: %v", title, why)
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// launch starts a fresh server, whatever the environment says.
func launch(k kind) (*Server, error) {
	start, ok := starters[k.name]
	if !ok {
		remedy := "set " + k.env
		if k.env == "" {
			remedy = "run the test there"
		}
		return nil, fmt.Errorf("servers are started on linux only; %s", remedy)
	}
	return start()
}

// kindOf panics, as names come from this package or were checked against Kinds.
func kindOf(name string) kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	panic("testserver: no kind " + name)
}

// Kinds lists what Launch starts: those that start within seconds on any machine,
// or all.
func Kinds(all bool) []string {
	var names []string
	for _, k := range kinds {
		if k.env != "" && (all || !k.slow) {
			names = append(names, k.name)
		}
	}
	return names
}

// Launch starts a server without a test, and returns it with the environment
// variable, NAME=value, that makes tests use it. The caller closes it.
func Launch(name string) (s *Server, env string, err error) {
	k := kindOf(name)
	if s, err = launch(k); err != nil {
		return nil, "", fmt.Errorf("testserver: %s: %w", k.title, err)
	}
	value := s.DSN
	if value == "" {
		value = strings.Join(s.Addrs, ",")
	}
	return s, k.env + "=" + value, nil
}

// serversAt, serverAtURL and serverAtDSN take what an environment variable has. They
// don't complain: the backend under test does, and its message is the better one.
func serversAt(value string) *Server {
	addrs := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
	if len(addrs) == 0 {
		return &Server{}
	}
	return &Server{Addr: addrs[0], Addrs: addrs}
}

func serverAtURL(value string) *Server {
	s := &Server{DSN: value}
	if u, err := url.Parse(value); err == nil {
		s.Addr = u.Host
	}
	return s.alone()
}

func serverAtDSN(value string) *Server {
	s := &Server{DSN: value}
	if _, rest, ok := strings.Cut(value, "tcp("); ok {
		s.Addr, _, _ = strings.Cut(rest, ")")
	}
	return s.alone()
}

// alone completes a server that is no cluster.
func (s *Server) alone() *Server {
	s.Addrs = []string{s.Addr}
	return s
}
