package redis

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/share"
	"github.com/flamego/session/internal/testproxy"
	"github.com/flamego/session/internal/testserver"
)

// holder holds the commands for one key, so that others wait for each other, and notes
// which went together.
type holder struct {
	redis.Hook
	key     string
	holding sync.WaitGroup
	release chan struct{}

	mu       sync.Mutex
	together []int
}

func (h *holder) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *holder) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if slices.Contains(cmd.Args(), any(h.key)) {
			h.holding.Done()
			<-h.release
		}
		return next(ctx, cmd)
	}
}

func (h *holder) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if name := cmds[0].Name(); name == "set" || name == "evalsha" {
			h.mu.Lock()
			h.together = append(h.together, len(cmds))
			h.mu.Unlock()
		}
		return next(ctx, cmds)
	}
}

// hold makes all that follows wait for each other, until the end of the test.
func hold(t *testing.T, b *backend) *holder {
	h := &holder{key: b.prefix + "held", release: make(chan struct{})}
	b.client.AddHook(h)
	var wg sync.WaitGroup
	for range max(2, runtime.GOMAXPROCS(0)) {
		h.holding.Add(1)
		wg.Go(func() { _ = b.Create(share.Patient(t.Context()), "held", record("held")) })
		h.holding.Wait()
	}
	t.Cleanup(func() { close(h.release); wg.Wait() })
	return h
}

// all runs calls at the same time.
func all(n int, call func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = call(i) })
	}
	wg.Wait()
	return errs
}

func viaProxy(t *testing.T) (*backend, *testproxy.Proxy) {
	p := testproxy.New(t)
	cfg := Config{Options: &Options{Addr: testserver.Redis.Get(t).Addr, Dialer: p.DialContext}, KeyPrefix: setup{}.fresh().Prefix}
	return newBackend(t, cfg), p
}

// TestTogether checks that commits that share a round trip each have their own outcome.
func TestTogether(t *testing.T) {
	b, _ := viaProxy(t)
	ctx, id := share.Patient(t.Context()), func(i int) string { return fmt.Sprint("id", i) }
	for i := range 8 {
		require.NoError(t, b.Create(ctx, id(i), record("0")))
	}
	h := hold(t, b)
	for i, err := range all(8, func(i int) error {
		switch i % 4 {
		case 0:
			return b.Replace(ctx, id(i), record("stale"), record("1"))
		case 1:
			return b.Create(ctx, id(i), record("1"))
		case 2:
			return b.Create(ctx, id(i)+"new", record("1"))
		}
		return b.Replace(ctx, id(i), record("0"), record("1"))
	}) {
		switch i % 4 {
		case 0:
			assert.Equal(t, session.ErrConflict, err)
			assert.Equal(t, "0", loadData(t, b, id(i)))
		case 1:
			assert.Equal(t, session.ErrExists, err)
			assert.Equal(t, "0", loadData(t, b, id(i)))
		case 2:
			assert.NoError(t, err)
			assert.Equal(t, "1", loadData(t, b, id(i)+"new"))
		default:
			assert.NoError(t, err)
			assert.Equal(t, "1", loadData(t, b, id(i)))
		}
	}
	sum := 0
	for _, n := range h.together {
		sum += n
	}
	assert.Equal(t, 8, sum, "each of them waits for others")

	// A caller that may leave at any time goes alone.
	before := len(h.together)
	require.NoError(t, b.Create(t.Context(), "alone", record("1")))
	assert.Len(t, h.together, before)
}

// TestTogetherForgotten has the server forget the script that several send together.
func TestTogetherForgotten(t *testing.T) {
	s := ownServer(t)
	b, ctx := newBackend(t, s.config(nil)), share.Patient(t.Context())
	for i := range 4 {
		require.NoError(t, b.Create(ctx, fmt.Sprint(i), record("0")))
	}
	require.NoError(t, s.admin(t).ScriptFlush(ctx).Err())
	hold(t, b)
	for i, err := range all(4, func(i int) error { return b.Replace(ctx, fmt.Sprint(i), record("0"), record("1")) }) {
		assert.NoError(t, err)
		assert.Equal(t, "1", loadData(t, b, fmt.Sprint(i)))
	}
}

// TestTogetherLost checks that commits whose answers are lost together are errors, and are
// not sent again.
func TestTogetherLost(t *testing.T) {
	b, p := viaProxy(t)
	ctx, id := share.Patient(t.Context()), func(i int) string { return fmt.Sprint("id", i) }
	require.NoError(t, b.Create(ctx, "id", record("0")))
	require.NoError(t, b.Replace(ctx, "id", record("0"), record("1"))) // The server knows the script.
	for i := range 8 {
		require.NoError(t, b.Create(ctx, id(i), record("0")))
	}
	h := hold(t, b)
	lose(p, "evalsha", 1, false)
	errs := all(8, func(i int) error { return b.Replace(ctx, id(i), record("0"), record("1")) })
	trips := p.Requests()
	lose(p, "", 0, false)
	failed := 0
	for i, err := range errs {
		assert.NotErrorIs(t, err, session.ErrConflict, "sent again")
		assert.Equal(t, "1", loadData(t, b, id(i)), "the test means to lose the answer, not the request")
		if err != nil {
			failed++
		}
	}
	assert.Positive(t, failed)
	assert.Equal(t, len(h.together), trips, "requests")
}

// TestTogetherDown checks that commits that find no server together fail together.
func TestTogetherDown(t *testing.T) {
	b := newBackend(t, Config{Options: &Options{Addr: "127.0.0.1:1"}})
	h := hold(t, b)
	for _, err := range all(4, func(i int) error {
		return b.Create(share.Patient(t.Context()), fmt.Sprint(i), record("0"))
	}) {
		require.ErrorContains(t, err, "refused")
		assert.NotErrorIs(t, err, session.ErrExists)
	}
	assert.NotEmpty(t, h.together)
}
