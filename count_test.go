package session_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// countingStore is an application's own Store that can count.
type countingStore struct{ plainStore }

func (s *countingStore) Count(context.Context, time.Time) (int, error) { return len(s.rows), nil }

// brokenCounter is a Backend whose Count fails.
type brokenCounter struct{ session.Backend }

func (brokenCounter) Count(context.Context, time.Time) (int, error) { return 7, errDown }

func TestCountOfOthers(t *testing.T) {
	manager := func(t *testing.T, st session.Store) *session.Manager {
		m, err := session.NewManager(session.Options{
			Initer: func(context.Context, ...interface{}) (session.Store, error) { return st, nil },
		})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, m.Close(context.Background())) })
		return m
	}
	type backend struct{ session.Backend } // Without Count.
	for name, st := range map[string]session.Store{
		"session_test.backend":     session.NewStore(backend{newMapBackend()}, session.StoreConfig{}),
		"*session_test.plainStore": &plainStore{},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := manager(t, st).Count(t.Context())
			assert.Zero(t, n)
			require.ErrorIs(t, err, errors.ErrUnsupported)
			for _, part := range []string{"session: count: ", name + " has no method Count", "session.Counter"} {
				assert.ErrorContains(t, err, part)
			}
		})
	}
	t.Run("a Store with Count", func(t *testing.T) {
		n, err := manager(t, &countingStore{plainStore{rows: map[string][]byte{"abc": nil, "def": nil}}}).Count(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 2, n)
	})
	t.Run("an error", func(t *testing.T) {
		n, err := manager(t, session.NewStore(brokenCounter{newMapBackend()}, session.StoreConfig{})).Count(t.Context())
		assert.Zero(t, n, "a number that is not to be trusted")
		require.ErrorIs(t, err, errDown)
		assert.ErrorContains(t, err, "session: count: ")
	})
}
