package mongo

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/test/backendtest"
)

// A server that is gone: calls fail soon, each with an error that is none of the
// sentinels, and work again when it is back.
func TestServerGone(t *testing.T) {
	server := testserver.Mongo.Start(t)
	s := on(t, server)
	b, ctx := newBackend(t, s.config()), t.Context()
	require.NoError(t, b.Create(ctx, "aaa", record("1")))
	backendtest.Busy(t, b)

	server.Kill(t)
	var wg sync.WaitGroup
	begin := time.Now()
	for name, call := range calls(b) {
		wg.Go(func() { backendtest.AssertOutage(t, call(ctx), name) })
	}
	wg.Wait()
	assert.Less(t, time.Since(begin), selectionTimeout+time.Second)
	server.Start(t)
	backendtest.Heals(t, 5*time.Second, func() error { _, err := b.Load(ctx, "aaa"); return err })
	require.NoError(t, b.Replace(ctx, "aaa", record("1"), record("2")))
	backendtest.Busy(t, b)
	assert.Equal(t, "2", loadData(t, b, "aaa"))
}

// A server that hangs: calls end with their context.
func TestServerHangs(t *testing.T) {
	server := testserver.Mongo.Start(t)
	s := on(t, server)
	b := newBackend(t, s.config())
	require.NoError(t, b.Create(t.Context(), "aaa", record("1")))
	backendtest.Busy(t, b)
	server.Pause(t)
	for name, call := range calls(b) {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		start := time.Now()
		err := call(ctx)
		cancel()
		backendtest.AssertOutage(t, err, name)
		assert.Less(t, time.Since(start), time.Second, name)
	}
	server.Resume(t)
	backendtest.Heals(t, 5*time.Second, func() error { return b.Delete(t.Context(), "aaa") })
}

// Starting a server of the site while the database is down is possible. The
// indexes are made when it is back, before anything is stored.
func TestStartWhileDown(t *testing.T) {
	server := testserver.Mongo.Start(t)
	s := on(t, server)
	server.Kill(t)
	begin := time.Now()
	b := newBackend(t, s.config())
	assert.Less(t, time.Since(begin), selectionTimeout+time.Second)
	_, err := b.Load(t.Context(), "aaa")
	backendtest.AssertOutage(t, err, "Load")
	backendtest.AssertOutage(t, b.Create(t.Context(), "aaa", record("1")), "Create")
	server.Start(t)
	backendtest.Heals(t, 5*time.Second, func() error { return b.Create(t.Context(), "aaa", record("1")) })
	assert.Contains(t, indexes(t, s.admin(t)), "key_1")
	require.ErrorIs(t, b.Create(t.Context(), "aaa", record("1")), session.ErrExists)
}
