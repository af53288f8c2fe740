package session_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

type closingBackend struct {
	*mapBackend
	sweeping, release, closed chan struct{}
}

func (b *closingBackend) DeleteExpired(context.Context, time.Time, int) (int, error) {
	close(b.sweeping)
	<-b.release
	return 0, nil
}

func (b *closingBackend) Close() error { close(b.closed); return nil }

// TestCloseLate closes with a context that ends before the background work: the
// connections are closed once that is done (G16).
func TestCloseLate(t *testing.T) {
	b := &closingBackend{newMapBackend(), make(chan struct{}), make(chan struct{}), make(chan struct{})}
	m, err := session.NewManager(session.Options{Initer: initer(b, session.StoreConfig{}), GCInterval: time.Second})
	require.NoError(t, err)
	<-b.sweeping
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	assert.ErrorIs(t, m.Close(ctx), context.Canceled)
	close(b.release)
	select {
	case <-b.closed:
	case <-time.After(5 * time.Second):
		t.Error("the backend was never closed")
	}
}

// slowClose takes a while to close, as a pool does whose connections are in use.
type slowClose struct {
	*mapBackend
	closes  atomic.Int64
	release chan struct{}
}

func (b *slowClose) Close() error {
	b.closes.Add(1)
	<-b.release
	return nil
}

// TestCloseEndsWithItsContext closes a backend that does not come to an end.
func TestCloseEndsWithItsContext(t *testing.T) {
	b := &slowClose{mapBackend: newMapBackend(), release: make(chan struct{})}
	m, err := session.NewManager(session.Options{Initer: initer(b, session.StoreConfig{})})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	assert.ErrorIs(t, m.Close(ctx), context.DeadlineExceeded)
	close(b.release)
}

// TestWhoCloses counts how often a backend is closed: when a start fails, and when the last of
// the Managers that share it is closed.
func TestWhoCloses(t *testing.T) {
	open := func() *slowClose {
		b := &slowClose{mapBackend: newMapBackend(), release: make(chan struct{})}
		close(b.release)
		return b
	}
	lossy := session.StoreConfig{Encoder: func(session.Data) ([]byte, error) { return nil, errors.New("lossy") }, Decoder: session.GobDecoder}
	b := open()
	_, err := session.NewManager(session.Options{Initer: initer(b, lossy)})
	require.Error(t, err)
	assert.Equal(t, int64(1), b.closes.Load(), "a start failed")

	b = open()
	for name, store := range map[string]session.Initer{"one Store": returns(session.NewStore(b, session.StoreConfig{})), "one Backend": initer(b, session.StoreConfig{})} {
		b.closes.Store(0)
		first, second := manager(t, "first", func(o *session.Options) { o.Initer = store }), manager(t, "second", func(o *session.Options) { o.Initer = store })
		_, err := session.NewManager(session.Options{Initer: store, HashIDs: true, MaxPerOwner: -1})
		require.Error(t, err)
		require.NoError(t, first.Close(t.Context()))
		assert.Zero(t, b.closes.Load(), name)
		require.NoError(t, second.Close(t.Context()))
		assert.Equal(t, int64(1), b.closes.Load(), name)
	}
}
