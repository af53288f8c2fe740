package session_test

import (
	"context"
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
