package redis

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/test/backendtest"
)

// TestEvictionPolicy checks what the start says of a server that removes keys.
func TestEvictionPolicy(t *testing.T) {
	s := ownServer(t)
	admin, ctx := s.admin(t), t.Context()
	var log bytes.Buffer
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	for policy, want := range map[string]bool{"noeviction": false, "allkeys-lru": true, "volatile-lru": true, "volatile-ttl": true} {
		require.NoError(t, admin.ConfigSet(ctx, "maxmemory-policy", policy).Err())
		log.Reset()
		newBackend(t, s.config(nil))
		if want {
			assert.Contains(t, log.String(), "maxmemory-policy="+policy)
			assert.Contains(t, log.String(), "set maxmemory-policy to noeviction")
		} else {
			assert.Empty(t, log.String())
		}
	}
	// Whoever may not know is told nothing.
	require.NoError(t, admin.Do(ctx, "acl", "setuser", "app", "on", ">secret", "~*", "+@all", "-info").Err())
	o := s.options()
	o.Username, o.Password = "app", "secret"
	log.Reset()
	newBackend(t, Config{Options: o, KeyPrefix: s.Prefix})
	assert.Empty(t, log.String())
}

// TestClosedWhileIdle has the server close the connections while they are idle. Over TLS the
// client cannot see that, and what must not be repeated would fail.
func TestClosedWhileIdle(t *testing.T) {
	server := testserver.RedisTLS.Get(t)
	s := setup{Addrs: server.Addrs, Roots: rootsOf(t, server.Addr)}.fresh()
	b, admin, ctx := newBackend(t, s.config(nil)), s.admin(t), t.Context()
	create := func(round string) {
		for i, err := range all(20, func(i int) error { return b.Create(ctx, fmt.Sprint(round, "session", i), record("1")) }) {
			assert.NoError(t, err, "%s %d", round, i)
		}
	}
	create("first")
	require.NoError(t, admin.ClientKillByFilter(ctx, "type", "normal", "skipme", "yes").Err())
	time.Sleep(maxIdle + 10*time.Millisecond) // As long as the documentation says.
	create("second")
}

// crossed answers as a proxy in front of several servers does, when a script has two keys.
type crossed struct {
	redis.Hook
	n int
}

func (h *crossed) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *crossed) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *crossed) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); cmd.Name() == "evalsha" && slices.Contains(args, any(move.sha)) {
			h.n++
			cmd.SetErr(redis.ErrCrossSlot)
			return redis.ErrCrossSlot
		}
		return next(ctx, cmd)
	}
}

// TestMovesInSteps moves where a script cannot have two keys, although there is one address.
func TestMovesInSteps(t *testing.T) {
	b, ctx := newBackend(t, kinds[0].start(t).fresh().config(nil)), t.Context()
	h := &crossed{}
	b.client.AddHook(h)
	assert.True(t, b.MovesInOneStep())
	require.NoError(t, b.Create(ctx, "aaa", record("1")))
	require.NoError(t, b.Move(ctx, "aaa", "bbb", record("1"), record("2")))
	assert.False(t, b.MovesInOneStep())
	require.ErrorIs(t, b.Move(ctx, "bbb", "ccc", record("1"), record("3")), session.ErrConflict)
	_, err := b.Load(ctx, "ccc")
	require.ErrorIs(t, err, session.ErrNotFound)
	assert.Equal(t, "2", loadData(t, b, "bbb"))
	assert.Equal(t, 1, h.n, "it is not tried again")
}

// TestPasses checks which answers say that the server may be back by itself.
func TestPasses(t *testing.T) {
	server := testserver.Redis.Start(t)
	s := setup{Addrs: server.Addrs}.fresh()
	b, admin, ctx := newBackend(t, s.config(nil)), s.admin(t), t.Context()
	require.NoError(t, b.Create(ctx, "aaa", record("1")))
	require.NoError(t, admin.Do(ctx, "replicaof", "127.0.0.1", "1").Err())
	for _, err := range []error{b.Create(ctx, "bbb", record("1")), b.Replace(ctx, "aaa", record("1"), record("2"))} {
		require.ErrorIs(t, err, driver.ErrUnavailable)
		backendtest.AssertOutage(t, err, "a replica")
	}
	newBackend(t, s.config(nil)) // It may become the master.
	require.NoError(t, admin.Do(ctx, "replicaof", "no", "one").Err())
	require.NoError(t, b.Replace(ctx, "aaa", record("1"), record("2")))
	require.NoError(t, admin.ConfigSet(ctx, "maxmemory", "1").Err())
	err := b.Create(ctx, "bbb", record("1"))
	require.ErrorContains(t, err, "OOM")
	assert.NotErrorIs(t, err, driver.ErrUnavailable)
}
