package redis

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/testserver"
)

// failover tests a fail-over under load. Replication is asynchronous, so the last
// acknowledged visits may be lost with the master; none may count twice.
func failover(t *testing.T, cfg Config, master *redis.Client, kill func()) {
	b := newBackend(t, cfg)
	require.NoError(t, b.Create(t.Context(), "aaa", record("0")))
	n := 0
	visit := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := b.Load(ctx, "aaa")
		if err != nil {
			return err
		}
		return b.Replace(ctx, "aaa", r, record(strconv.Itoa(atoi(string(r.Data))+1)))
	}
	for range 50 {
		require.NoError(t, visit())
		n++
	}
	// The replica must have it all, or there would be nothing to take over.
	conn := master.Conn()
	require.NoError(t, conn.Set(t.Context(), cfg.KeyPrefix+"wait", "x", time.Minute).Err())
	replicas, err := conn.Wait(t.Context(), 1, 10*time.Second).Result()
	require.NoError(t, err)
	require.EqualValues(t, 1, replicas)
	require.NoError(t, conn.Close())
	kill()
	failed := 0
	start := time.Now()
	for time.Since(start) < 30*time.Second {
		if err := visit(); err == nil {
			break
		}
		failed++
		time.Sleep(50 * time.Millisecond)
	}
	n++
	t.Logf("the first success %v after the kill, %d failed before it", time.Since(start).Round(10*time.Millisecond), failed)
	for range 50 {
		require.NoError(t, visit())
		n++
	}
	got := atoi(loadData(t, b, "aaa"))
	assert.GreaterOrEqual(t, got, n)
	assert.LessOrEqual(t, got, n+failed)
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1 << 30
	}
	return n
}

func TestFailoverSentinel(t *testing.T) {
	server := testserver.RedisSentinel.Start(t)
	s := setup{Addrs: server.Addrs, Master: server.Master}.fresh()
	c := s.client().(*redis.Client)
	t.Cleanup(func() { _ = c.Close() })
	failover(t, s.config(c), c, func() { server.Node(0).Kill(t) })
}

func TestFailoverCluster(t *testing.T) {
	server := testserver.RedisCluster.Start(t)
	s := setup{Addrs: server.Addrs, Cluster: true}.fresh()
	s.Prefix = "{" + s.Prefix + "}"
	c := s.client().(*redis.ClusterClient)
	t.Cleanup(func() { _ = c.Close() })
	master, err := c.MasterForKey(t.Context(), s.Prefix)
	require.NoError(t, err)
	failover(t, s.config(c), master, func() {
		for i, addr := range server.Addrs {
			if addr == master.Options().Addr {
				server.Node(i).Kill(t)
				return
			}
		}
		t.Fatalf("no node is %s", master.Options().Addr)
	})
}

// A key that moves to another node of the cluster, while it moves (ASK) and when
// it has (MOVED), is followed without a retry of what must happen once.
func TestClusterRedirects(t *testing.T) {
	server := testserver.RedisCluster.Start(t)
	ctx := t.Context()
	s := setup{Addrs: server.Addrs, Cluster: true, Prefix: "{moving}"}
	c := s.client().(*redis.ClusterClient)
	t.Cleanup(func() { _ = c.Close() })
	b := newBackend(t, s.config(c))
	require.NoError(t, b.Create(ctx, "aaa", record("1")))
	require.NoError(t, b.Create(ctx, "bbb", record("1")))

	from, err := c.MasterForKey(ctx, "{moving}")
	require.NoError(t, err)
	slot, err := c.ClusterKeySlot(ctx, "{moving}").Result()
	require.NoError(t, err)
	var to *redis.Client
	var mu sync.Mutex
	ids := make(map[string]string)
	masters := make(map[string]*redis.Client)
	require.NoError(t, c.ForEachMaster(ctx, func(ctx context.Context, n *redis.Client) error {
		id, err := n.Do(ctx, "cluster", "myid").Text()
		mu.Lock()
		defer mu.Unlock()
		ids[n.Options().Addr], masters[n.Options().Addr] = id, n
		return err
	}))
	for addr, n := range masters {
		if addr != from.Options().Addr {
			to = n
		}
	}
	require.NoError(t, to.Do(ctx, "cluster", "setslot", slot, "importing", ids[from.Options().Addr]).Err())
	require.NoError(t, from.Do(ctx, "cluster", "setslot", slot, "migrating", ids[to.Options().Addr]).Err())
	host, port := split(to.Options().Addr)
	require.NoError(t, from.Migrate(ctx, host, port, "{moving}aaa", 0, time.Second).Err())

	// aaa has moved, bbb has not, ccc is new; the scripts are unknown over there.
	use := func(round string) {
		for _, id := range []string{"aaa", "bbb"} {
			r, err := b.Load(ctx, id)
			require.NoError(t, err, round)
			require.NoError(t, b.Replace(ctx, id, r, record(string(r.Data)+"1")), round)
			require.ErrorIs(t, b.Replace(ctx, id, r, record("x")), session.ErrConflict, round)
			require.NoError(t, b.Touch(ctx, id, record(string(r.Data)+"1"), later), round)
			require.ErrorIs(t, b.Create(ctx, id, record("x")), session.ErrExists, round)
		}
		require.NoError(t, b.Create(ctx, "ccc", record("1")), round)
		require.NoError(t, b.Move(ctx, "ccc", "ddd", record("1"), record("2")), round)
		require.NoError(t, b.Delete(ctx, "ddd"), round)
	}
	use("migrating")
	require.NoError(t, from.Migrate(ctx, host, port, "{moving}bbb", 0, time.Second).Err())
	require.NoError(t, c.ForEachMaster(ctx, func(ctx context.Context, n *redis.Client) error {
		return n.Do(ctx, "cluster", "setslot", slot, "node", ids[to.Options().Addr]).Err()
	}))
	use("moved")
	assert.Equal(t, "111", loadData(t, b, "aaa"))
	assert.Equal(t, "111", loadData(t, b, "bbb"))
}

func split(addr string) (host, port string) {
	for i := len(addr) - 1; i >= 0; i-- {
		if addr[i] == ':' {
			return addr[:i], addr[i+1:]
		}
	}
	return addr, ""
}
