package memstore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/txn"
)

// TestExtend checks that Touch slides the expiry of the loaded version, and of no other.
func TestExtend(t *testing.T) {
	e, ctx := New(), t.Context()
	first, later := time.Unix(1e9, 0), time.Unix(2e9, 0)
	old, err := e.Create(ctx, "aaa", &txn.Changes{}, first)
	require.NoError(t, err)
	_, err = e.Touch(ctx, old, later)
	require.NoError(t, err)
	_, err = e.Touch(ctx, old, later.Add(time.Second))
	require.NoError(t, err, "touched by two requests that loaded the same version")
	_, err = e.Replace(ctx, old, &txn.Changes{}, first)
	require.NoError(t, err)
	_, err = e.Touch(ctx, old, later)
	assert.ErrorIs(t, err, driver.ErrConflict)
	now, err := e.Load(ctx, "aaa")
	require.NoError(t, err)
	assert.True(t, now.Record.Expiry.Equal(first), "a decision of another request was undone")
	old.ID = "bbb"
	_, err = e.Touch(ctx, old, later)
	assert.ErrorIs(t, err, driver.ErrConflict)
	_, err = e.Load(ctx, "bbb")
	assert.ErrorIs(t, err, driver.ErrNotFound)
}
