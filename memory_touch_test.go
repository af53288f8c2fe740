package session

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMemoryTouch checks that the memory slides the expiry of the version that was
// loaded, and of no other.
func TestMemoryTouch(t *testing.T) {
	m, ctx := newMemory(), t.Context()
	first, later := time.Unix(1e9, 0), time.Unix(2e9, 0)
	old, err := m.create(ctx, "aaa", &changes{}, first)
	require.NoError(t, err)
	require.NoError(t, m.touch(ctx, "aaa", old, later))
	require.NoError(t, m.touch(ctx, "aaa", old, later.Add(time.Second)), "touched by two requests that loaded the same version")
	_, err = m.replace(ctx, "aaa", old, &changes{}, first)
	require.NoError(t, err)
	assert.ErrorIs(t, m.touch(ctx, "aaa", old, later), ErrConflict)
	now, err := m.load(ctx, "aaa")
	require.NoError(t, err)
	assert.True(t, now.expiry.Equal(first), "a decision of another request was undone")
	assert.ErrorIs(t, m.touch(ctx, "bbb", old, later), ErrConflict)
	_, err = m.load(ctx, "bbb")
	assert.ErrorIs(t, err, ErrNotFound)
}
