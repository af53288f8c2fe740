package redis

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/testserver"
)

// count is what a fresh look finds.
func count(t *testing.T, b *backend) int {
	t.Helper()
	require.NoError(t, b.client.Del(t.Context(), b.prefix+countKey).Err())
	n, err := b.Count(t.Context(), time.Now())
	require.NoError(t, err)
	return n
}

// countKeys is which keys count, on all servers of a kind.
func countKeys(t *testing.T, b *backend) {
	ctx := t.Context()
	assert.Zero(t, count(t, b))
	const many = 3000 // Some pages on each server.
	pipe := b.client.Pipeline()
	for i := range many {
		pipe.Set(ctx, fmt.Sprintf("%s%032d", b.prefix, i), "x", time.Hour)
	}
	for name, ttl := range map[string]time.Duration{
		"abcdefghijklmnop":       time.Hour, // As v1.6.6 writes them.
		"forever":                0,
		"soon":                   time.Millisecond,
		"ab":                     time.Hour, // From here on no ID.
		"user:1":                 time.Hour,
		"Upper":                  time.Hour,
		"":                       time.Hour,
		strings.Repeat("a", 129): time.Hour,
		"flamego::other":         time.Hour,
	} {
		pipe.Set(ctx, b.prefix+name, "x", ttl)
	}
	pipe.Set(ctx, "x"+b.prefix+"aaa", "x", time.Minute)
	_, err := pipe.Exec(ctx)
	require.NoError(t, err)
	require.NoError(t, b.Create(ctx, "ours", record("x")))
	require.Eventually(t, func() bool { return b.client.Exists(ctx, b.prefix+"soon").Val() == 0 }, time.Second, time.Millisecond)
	assert.Equal(t, many+3, count(t, b))
}

// The prefix may be full of what a pattern takes for something else.
func TestCountPrefix(t *testing.T) {
	s := kinds[0].start(t).fresh()
	for _, odd := range []string{"*", "?", "[a-z]", `\`, "{tag}:", ""} {
		cfg := s.config(nil)
		cfg.KeyPrefix += odd + ":"
		b := newBackend(t, cfg)
		require.NoError(t, b.Create(t.Context(), "aaa", record("x")))
		assert.Equal(t, 1, count(t, b), "prefix %q", odd)
	}
}

// A fleet looks once, and then not again until the number has gone.
func TestCountOnce(t *testing.T) {
	server := testserver.Redis.Start(t) // Others would be counted, too.
	s := setup{Addrs: server.Addrs}.fresh()
	admin, ctx := s.admin(t), t.Context()
	scans := func() int {
		info, err := admin.Info(ctx, "commandstats").Result()
		require.NoError(t, err)
		m := regexp.MustCompile(`cmdstat_scan:calls=(\d+)`).FindStringSubmatch(info)
		if m == nil {
			return 0
		}
		n, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		return n
	}
	var fleet []*backend
	for range 4 {
		b := newBackend(t, s.config(nil))
		b.countLives = time.Hour
		fleet = append(fleet, b)
	}
	require.NoError(t, fleet[0].Create(ctx, "aaa", record("x")))
	before := scans()
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			n, err := fleet[i%len(fleet)].Count(ctx, time.Now())
			assert.NoError(t, err)
			assert.Equal(t, 1, n)
		})
	}
	wg.Wait()
	assert.Equal(t, 1, scans()-before, "SCANs for 32 questions to a server with one page of keys")
	assert.Greater(t, admin.PTTL(ctx, s.Prefix+countKey).Val(), 59*time.Minute)

	// Until it has gone it stays, whatever happens; then it is right again.
	require.NoError(t, fleet[0].Create(ctx, "bbb", record("x")))
	n, err := fleet[1].Count(ctx, time.Now())
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	fleet[0].countLives = 30 * time.Millisecond
	assert.Equal(t, 2, count(t, fleet[0]))
	require.NoError(t, fleet[0].Create(ctx, "ccc", record("x")))
	require.Eventually(t, func() bool {
		n, err := fleet[0].Count(ctx, time.Now())
		return assert.NoError(t, err) && n == 3
	}, 5*time.Second, 5*time.Millisecond)

	assert.Equal(t, 10*time.Second, newBackend(t, s.config(nil)).countLives)
}

// onScan runs a function before the n-th page is read.
type onScan struct {
	redis.Hook
	scans atomic.Int32
	do    func(ctx context.Context, n int32) error
}

func (h *onScan) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *onScan) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *onScan) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "scan" {
			if err := h.do(ctx, h.scans.Add(1)); err != nil {
				cmd.SetErr(err)
				return err
			}
		}
		return next(ctx, cmd)
	}
}

func TestCountTrouble(t *testing.T) {
	s := kinds[0].start(t).fresh()
	ctx, admin := t.Context(), s.admin(t)
	pipe := admin.Pipeline()
	for i := range 5000 {
		pipe.Set(ctx, fmt.Sprintf("%s%032d", s.Prefix, i), "x", time.Hour)
	}
	_, err := pipe.Exec(ctx)
	require.NoError(t, err)
	other := newBackend(t, s.config(nil))
	key := s.Prefix + countKey

	t.Run("an error gives the claim back", func(t *testing.T) {
		b, broken := newBackend(t, s.config(nil)), errors.New("broken")
		b.client.AddHook(&onScan{do: func(_ context.Context, n int32) error {
			if n == 2 {
				return broken
			}
			return nil
		}})
		_, err := b.Count(ctx, time.Now())
		require.ErrorIs(t, err, broken)
		assert.ErrorContains(t, err, "redis: count: ")
		assert.Zero(t, admin.Exists(ctx, key).Val())
		assert.Equal(t, 5000, count(t, other))
	})
	t.Run("a context that ends gives the claim back", func(t *testing.T) {
		require.NoError(t, admin.Del(ctx, key).Err())
		b := newBackend(t, s.config(nil))
		b.client.AddHook(&onScan{do: func(ctx context.Context, _ int32) error { <-ctx.Done(); return nil }})
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		_, err := b.Count(short, time.Now())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Zero(t, admin.Exists(ctx, key).Val())
	})
	t.Run("who waits gives up with the context", func(t *testing.T) {
		require.NoError(t, admin.Set(ctx, key, countClaim+"x", time.Hour).Err())
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		_, err := other.Count(short, time.Now())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, countClaim+"x", admin.Get(ctx, key).Val())
	})
	t.Run("who died is replaced", func(t *testing.T) {
		require.NoError(t, admin.Set(ctx, key, countClaim+"x", 100*time.Millisecond).Err())
		n, err := other.Count(ctx, time.Now())
		require.NoError(t, err)
		assert.Equal(t, 5000, n)
	})
	t.Run("a long time of reading", func(t *testing.T) {
		require.NoError(t, admin.Del(ctx, key).Err())
		b := newBackend(t, s.config(nil))
		b.client.AddHook(&onScan{do: func(_ context.Context, n int32) error {
			switch n {
			case 2: // What a server of very many keys would take.
				time.Sleep(claimTTL/5 + 10*time.Millisecond)
			case 3:
				assert.Greater(t, admin.PTTL(ctx, key).Val(), claimTTL-claimTTL/10, "the claim was not renewed, so another server would begin, too")
			}
			return nil
		}})
		n, err := b.Count(ctx, time.Now())
		require.NoError(t, err)
		assert.Equal(t, 5000, n)
		assert.Greater(t, admin.PTTL(ctx, key).Val(), countShare*claimTTL/5-time.Second, "the longer the reading takes, the longer the number is good for")
	})
}
