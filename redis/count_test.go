package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func count(t *testing.T, b *backend) int {
	t.Helper()
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
	ctx := t.Context()
	pipe := s.admin(t).Pipeline()
	for i := range 5000 {
		pipe.Set(ctx, fmt.Sprintf("%s%032d", s.Prefix, i), "x", time.Hour)
	}
	_, err := pipe.Exec(ctx)
	require.NoError(t, err)
	b, broken := newBackend(t, s.config(nil)), errors.New("broken")
	b.client.AddHook(&onScan{do: func(_ context.Context, n int32) error {
		if n == 2 {
			return broken
		}
		return nil
	}})
	_, err = b.Count(ctx, time.Now())
	require.ErrorIs(t, err, broken)
	assert.ErrorContains(t, err, "redis: list: ")
	assert.Equal(t, 5000, count(t, b))

	b = newBackend(t, s.config(nil))
	b.client.AddHook(&onScan{do: func(ctx context.Context, _ int32) error { <-ctx.Done(); return nil }})
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err = b.Count(short, time.Now())
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
