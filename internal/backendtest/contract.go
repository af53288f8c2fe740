package backendtest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// Contract is what a Backend promises, call by call. It leaves a record "bbb" that
// holds "other".
func Contract(t *testing.T, b session.Backend) {
	t.Helper()
	ctx := t.Context()

	_, err := b.Load(ctx, "aaa")
	require.ErrorIs(t, err, session.ErrNotFound)
	require.ErrorIs(t, b.Touch(ctx, "aaa", session.Record{}, Later), session.ErrConflict)
	require.ErrorIs(t, b.Replace(ctx, "aaa", session.Record{}, Record("x")), session.ErrConflict)
	require.ErrorIs(t, b.Move(ctx, "aaa", "bbb", session.Record{}, Record("x")), session.ErrConflict)
	_, err = b.Load(ctx, "bbb")
	require.ErrorIs(t, err, session.ErrNotFound, "a move of nothing left something")
	require.NoError(t, b.Delete(ctx, "aaa"))

	require.NoError(t, b.Create(ctx, "aaa", Record("1\x00\xff\r\n")))
	require.ErrorIs(t, b.Create(ctx, "aaa", Record("2")), session.ErrExists)
	assert.Equal(t, "1\x00\xff\r\n", Data(t, b, "aaa"))

	require.ErrorIs(t, b.Replace(ctx, "aaa", Record("1"), Record("2")), session.ErrConflict)
	require.NoError(t, b.Replace(ctx, "aaa", Record("1\x00\xff\r\n"), Record("2")))
	assert.Equal(t, "2", Data(t, b, "aaa"))
	require.NoError(t, b.Replace(ctx, "aaa", Record("2"), Record("2")), "what changes nothing is no conflict")

	require.NoError(t, b.Create(ctx, "bbb", Record("other")))
	require.ErrorIs(t, b.Move(ctx, "aaa", "bbb", Record("2"), Record("3")), session.ErrExists)
	assert.Equal(t, "other", Data(t, b, "bbb"), "a move took an ID that was taken")
	require.ErrorIs(t, b.Move(ctx, "aaa", "ccc", Record("1"), Record("3")), session.ErrConflict)
	assert.Equal(t, "2", Data(t, b, "aaa"), "a move that failed changed the record")
	_, err = b.Load(ctx, "ccc")
	require.ErrorIs(t, err, session.ErrNotFound, "a move that failed was not undone")
	require.NoError(t, b.Move(ctx, "aaa", "ccc", Record("2"), Record("3")))
	assert.Equal(t, "3", Data(t, b, "ccc"))
	_, err = b.Load(ctx, "aaa")
	require.ErrorIs(t, err, session.ErrNotFound, "the old ID outlived the move")

	require.NoError(t, b.Delete(ctx, "ccc"))
	_, err = b.Load(ctx, "ccc")
	require.ErrorIs(t, err, session.ErrNotFound)
	require.ErrorIs(t, b.Replace(ctx, "ccc", Record("3"), Record("4")), session.ErrConflict, "a write revived what was deleted")
	require.ErrorIs(t, b.Touch(ctx, "ccc", Record("3"), Later), session.ErrConflict)
}

// EmptyData is that no data is data as well, nil or not.
func EmptyData(t *testing.T, b session.Backend) {
	t.Helper()
	ctx := t.Context()
	require.NoError(t, b.Create(ctx, "aaa", session.Record{Expiry: Later}))
	assert.Empty(t, Data(t, b, "aaa"))
	require.NoError(t, b.Replace(ctx, "aaa", session.Record{}, session.Record{Data: []byte{}, Expiry: Later}))
	require.NoError(t, b.Replace(ctx, "aaa", session.Record{Data: []byte{}}, Record("x")))
	require.NoError(t, b.Move(ctx, "aaa", "bbb", Record("x"), session.Record{Expiry: Later}))
	assert.Empty(t, Data(t, b, "bbb"))
	require.NoError(t, b.Replace(ctx, "bbb", session.Record{}, Record("x")))
}

// EndedContext is that none of the calls begins after its time.
func EndedContext(t *testing.T, b session.Backend, calls map[string]func(context.Context) error) {
	t.Helper()
	require.NoError(t, b.Create(t.Context(), "aaa", Record("1")))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for name, call := range calls {
		require.ErrorIs(t, call(cancelled), context.Canceled, name)
		require.ErrorIs(t, call(late), context.DeadlineExceeded, name)
	}
	assert.Equal(t, "1", Data(t, b, "aaa"))
	for _, id := range []string{"new", "bbb"} {
		_, err := b.Load(t.Context(), id)
		require.ErrorIs(t, err, session.ErrNotFound)
	}
}
