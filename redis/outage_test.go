package redis

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/test/backendtest"
)

// A server that is gone: calls fail soon, each with an error that is none of the
// sentinels, and work again when it is back.
func TestServerGone(t *testing.T) {
	server := testserver.Redis.Start(t)
	s := setup{Addrs: server.Addrs}.fresh()
	b, ctx := newBackend(t, s.config(nil)), t.Context()
	require.NoError(t, b.Create(ctx, "aaa", record("1")))
	backendtest.Busy(t, b)

	server.Kill(t)
	for round := range 3 {
		for name, call := range backendtest.Calls(b) {
			start := time.Now()
			err := call(ctx)
			backendtest.AssertOutage(t, err, name)
			assert.Less(t, time.Since(start), 2*time.Second, name)
			t.Logf("round %d: %s failed in %v: %v", round, name, time.Since(start).Round(time.Millisecond), err)
		}
	}
	server.Start(t)
	backendtest.Heals(t, 3*time.Second, func() error { _, err := b.Load(ctx, "aaa"); return err })
	require.NoError(t, b.Replace(ctx, "aaa", record("1"), record("2")))
	backendtest.Busy(t, b)

	// Back before anybody noticed: the connections are stale, and found to be so.
	server.Kill(t)
	server.Start(t)
	require.NoError(t, b.Replace(ctx, "aaa", record("2"), record("3")), "a stale connection was used for a write")
	backendtest.Busy(t, b)
	assert.Equal(t, "3", loadData(t, b, "aaa"))
}

// A server that hangs: calls end with their context.
func TestServerHangs(t *testing.T) {
	server := testserver.Redis.Start(t)
	s := setup{Addrs: server.Addrs}.fresh()
	plain := redis.NewClient(&redis.Options{Addr: server.Addr, ReadTimeout: 300 * time.Millisecond, MaxRetries: -1})
	t.Cleanup(func() { assert.NoError(t, plain.Close()) })
	for name, cfg := range map[string]Config{
		"Options": s.config(nil),
		"Client":  {Client: plain, KeyPrefix: s.Prefix}, // Its timeout, as it ignores the context.
	} {
		t.Run(name, func(t *testing.T) {
			cfg.KeyPrefix += name
			b := newBackend(t, cfg)
			require.NoError(t, b.Create(t.Context(), "aaa", record("1")))
			backendtest.Busy(t, b)
			server.Pause(t)
			for name, call := range backendtest.Calls(b) {
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				start := time.Now()
				err := call(ctx)
				cancel()
				backendtest.AssertOutage(t, err, name)
				limit := time.Second
				if name == "Move" {
					limit += undoTimeout
				}
				assert.Less(t, time.Since(start), limit, name)
			}
			server.Resume(t)
			backendtest.Heals(t, 3*time.Second, func() error { return b.Delete(t.Context(), "aaa") })
		})
	}
}

// Starting a server of the site while Redis is down is possible.
func TestStartWhileDown(t *testing.T) {
	server := testserver.Redis.Start(t)
	s := setup{Addrs: server.Addrs}.fresh()
	server.Kill(t)
	start := time.Now()
	b := newBackend(t, s.config(nil))
	assert.Less(t, time.Since(start), 2*time.Second)
	_, err := b.Load(t.Context(), "aaa")
	backendtest.AssertOutage(t, err, "Load")
	server.Start(t)
	backendtest.Heals(t, 3*time.Second, func() error { return b.Create(t.Context(), "aaa", record("1")) })

	server.Pause(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // Or it takes startTimeout.
	defer cancel()
	b, _, err = open(ctx, s.config(nil))
	require.NoError(t, err)
	defer func() { assert.NoError(t, b.Close()) }()
	server.Resume(t)
	backendtest.Heals(t, 3*time.Second, func() error { _, err := b.Load(t.Context(), "aaa"); return err })
}

// The whole site over an outage: errors are 500, sessions are back with the server.
func TestSiteOverOutage(t *testing.T) {
	server := testserver.Redis.Start(t)
	get := counter(t, setup{Addrs: server.Addrs}.fresh().config(nil))
	for i := range 3 {
		status, body := get("/visit")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, strconv.Itoa(i+1), body)
	}
	server.Kill(t)
	for range 3 {
		status, _ := get("/visit")
		require.Equal(t, http.StatusInternalServerError, status)
	}
	server.Start(t)
	backendtest.Heals(t, 3*time.Second, func() error {
		if status, _ := get("/visits"); status != http.StatusOK {
			return errors.New("status " + strconv.Itoa(status))
		}
		return nil
	})
	_, body := get("/visit")
	assert.Equal(t, "4", body)
}
