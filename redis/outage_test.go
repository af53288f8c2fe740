package redis

import (
	"context"
	"errors"
	"net/http"
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

// busy makes the client open some connections, which the outage leaves stale.
func busy(t testing.TB, b session.Backend) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			_, err := b.Load(t.Context(), "aaa")
			errs[i] = errors.Join(err, b.Touch(t.Context(), "aaa", later))
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

// heals waits until the backend works again, which it must do by itself.
func heals(t testing.TB, within time.Duration, do func() error) {
	t.Helper()
	start := time.Now()
	for {
		err := do()
		if err == nil {
			t.Logf("healed %v after the server was back", time.Since(start).Round(time.Millisecond))
			return
		}
		if time.Since(start) > within {
			t.Fatalf("does not heal: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// A server that is gone: calls fail soon, each with an error that is none of the
// sentinels, and work again when it is back.
func TestServerGone(t *testing.T) {
	server := testserver.Redis(t)
	s := setup{Addrs: server.Addrs}.fresh()
	b, ctx := newBackend(t, s.config(nil)), t.Context()
	require.NoError(t, b.Create(ctx, "aaa", record("1")))
	busy(t, b)

	server.Kill(t)
	for round := range 3 {
		for name, call := range calls(b) {
			start := time.Now()
			err := call(ctx)
			assertOutage(t, err, name)
			assert.Less(t, time.Since(start), 2*time.Second, name)
			t.Logf("round %d: %s failed in %v: %v", round, name, time.Since(start).Round(time.Millisecond), err)
		}
	}
	server.Start(t)
	heals(t, 3*time.Second, func() error { _, err := b.Load(ctx, "aaa"); return err })
	require.NoError(t, b.Replace(ctx, "aaa", []byte("1"), record("2")))
	busy(t, b)

	// Back before anybody noticed: the connections are stale, and found to be so.
	server.Kill(t)
	server.Start(t)
	require.NoError(t, b.Replace(ctx, "aaa", []byte("2"), record("3")), "a stale connection was used for a write")
	busy(t, b)
	assert.Equal(t, "3", loadData(t, b, "aaa"))
}

func assertOutage(t testing.TB, err error, name string) {
	t.Helper()
	require.Error(t, err, name)
	for _, sentinel := range []error{session.ErrNotFound, session.ErrExists, session.ErrConflict} {
		assert.NotErrorIs(t, err, sentinel, name)
	}
}

// A server that hangs: calls end with their context.
func TestServerHangs(t *testing.T) {
	server := testserver.Redis(t)
	s := setup{Addrs: server.Addrs}.fresh()
	plain := redis.NewClient(&redis.Options{Addr: server.Addr, ReadTimeout: 300 * time.Millisecond, MaxRetries: -1})
	t.Cleanup(func() { assert.NoError(t, plain.Close()) })
	for name, cfg := range map[string]Config{
		"Options": s.config(nil),
		"Client":  {Client: plain, KeyPrefix: s.Prefix}, // Its timeout, as it ignores the context.
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t, cfg)
			require.NoError(t, b.Create(t.Context(), "aaa", record("1")))
			busy(t, b)
			server.Pause(t)
			for name, call := range calls(b) {
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				start := time.Now()
				err := call(ctx)
				cancel()
				assertOutage(t, err, name)
				limit := time.Second
				if name == "Move" {
					limit += undoTimeout
				}
				assert.Less(t, time.Since(start), limit, name)
			}
			server.Resume(t)
			heals(t, 3*time.Second, func() error { return b.Delete(t.Context(), "aaa") })
		})
	}
}

// Starting a server of the site while Redis is down is possible.
func TestStartWhileDown(t *testing.T) {
	server := testserver.Redis(t)
	s := setup{Addrs: server.Addrs}.fresh()
	server.Kill(t)
	start := time.Now()
	b := newBackend(t, s.config(nil))
	assert.Less(t, time.Since(start), 2*time.Second)
	_, err := b.Load(t.Context(), "aaa")
	assertOutage(t, err, "Load")
	server.Start(t)
	heals(t, 3*time.Second, func() error { return b.Create(t.Context(), "aaa", record("1")) })

	server.Pause(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // Or it takes startTimeout.
	defer cancel()
	b, _, err = open(ctx, s.config(nil))
	require.NoError(t, err)
	defer func() { assert.NoError(t, b.Close()) }()
	server.Resume(t)
	heals(t, 3*time.Second, func() error { _, err := b.Load(t.Context(), "aaa"); return err })
}

// The whole site over an outage: errors are 500, sessions are back with the server.
func TestSiteOverOutage(t *testing.T) {
	server := testserver.Redis(t)
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
	heals(t, 3*time.Second, func() error {
		if status, _ := get("/visits"); status != http.StatusOK {
			return errors.New("status " + strconv.Itoa(status))
		}
		return nil
	})
	_, body := get("/visit")
	assert.Equal(t, "4", body)
}
