package redis

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/driver/drivertest"
	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/test/backendtest"
)

func TestMain(m *testing.M) {
	drivertest.Main(m, map[string]func(string) session.Options{"redis": func(arg string) session.Options {
		var s setup
		if err := json.Unmarshal([]byte(arg), &s); err != nil {
			panic(err)
		}
		return session.Options{Initer: Initer(), Config: s.config(s.client())}
	}})
}

// setup says how to reach a server, also to another process.
type setup struct {
	Addrs   []string
	Master  string // of Sentinel
	Cluster bool
	Ring    bool
	Roots   []byte // the certificate to trust, for TLS
	Prefix  string
}

var prefixes atomic.Int64

// fresh is the same server with keys that nobody else uses: it may be one that
// other tests use too.
func (s setup) fresh() setup {
	s.Prefix = fmt.Sprintf("test-%d-%d-%d:", os.Getpid(), time.Now().UnixNano(), prefixes.Add(1))
	return s
}

func (s setup) options() *Options {
	o := &Options{Addr: s.Addrs[0]}
	if s.Roots != nil {
		o.TLSConfig = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		o.TLSConfig.RootCAs.AppendCertsFromPEM(s.Roots)
	}
	return o
}

// client is a client such as an application has. A plain server gets none.
func (s setup) client() redis.UniversalClient {
	switch {
	case s.Cluster:
		return redis.NewClusterClient(&redis.ClusterOptions{Addrs: s.Addrs, ContextTimeoutEnabled: true})
	case s.Master != "":
		return redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: s.Master, SentinelAddrs: s.Addrs, ContextTimeoutEnabled: true,
		})
	case s.Ring:
		shards := make(map[string]string)
		for i, addr := range s.Addrs {
			shards[fmt.Sprint("shard", i)] = addr
		}
		return redis.NewRing(&redis.RingOptions{Addrs: shards, ContextTimeoutEnabled: true})
	}
	return nil
}

func (s setup) config(c redis.UniversalClient) Config {
	if c != nil {
		return Config{UniversalClient: c, KeyPrefix: s.Prefix}
	}
	return Config{Options: s.options(), KeyPrefix: s.Prefix}
}

// admin is a client of the test's own, for looking at what is stored.
func (s setup) admin(t testing.TB) redis.UniversalClient {
	c := s.client()
	if c == nil {
		c = redis.NewClient(s.options())
	}
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

// kinds are the ways to run Redis.
var kinds = []struct {
	name  string
	start func(t testing.TB) setup
}{
	{"single", func(t testing.TB) setup { return setup{Addrs: testserver.Redis.Get(t).Addrs} }},
	{"TLS", func(t testing.TB) setup {
		s := testserver.RedisTLS.Get(t)
		return setup{Addrs: s.Addrs, Roots: rootsOf(t, s.Addr)}
	}},
	{"Cluster", func(t testing.TB) setup { return setup{Addrs: testserver.RedisCluster.Get(t).Addrs, Cluster: true} }},
	{"Sentinel", func(t testing.TB) setup {
		s := testserver.RedisSentinel.Get(t)
		return setup{Addrs: s.Addrs, Master: s.Master}
	}},
	{"Ring", func(t testing.TB) setup {
		return setup{Addrs: []string{testserver.Redis.Get(t).Addr, testserver.Redis.Start(t).Addr}, Ring: true}
	}},
}

// TestSharesLoads: a pipeline to several servers would wait for the one that is down.
func TestSharesLoads(t *testing.T) {
	for _, kind := range kinds {
		s := kind.start(t).fresh()
		b := newBackend(t, s.config(s.client()))
		assert.Equal(t, !s.Cluster && !s.Ring, b.SharesLoads(), kind.name)
	}
}

// ownServer is one whose scripts nobody else makes known.
func ownServer(t testing.TB) setup { return setup{Addrs: testserver.Redis.Start(t).Addrs}.fresh() }

// rootsOf gets the certificate that a server has signed itself, in a form that
// another process can be given.
func rootsOf(t testing.TB, addr string) []byte {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.ConnectionState().PeerCertificates[0].Raw})
}

// newBackend opens a backend that is closed with the test.
func newBackend(t testing.TB, cfg Config) *backend {
	t.Helper()
	return backendtest.Open(t, open, cfg)
}

// What all backends are tested with.
var (
	later    = backendtest.Later
	record   = backendtest.Record
	loadData = backendtest.Data
)
