package sqlite

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

func newPool(t *testing.T, dsn string, n int) *conns {
	p, err := newConns(dsn, n)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

// TestConnsInUse uses all connections at once. A call that has to wait for one waits no
// longer than its context allows, and Close waits for the statements that are running.
func TestConnsInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	newBackend(t, Config{DSN: path}) // Two that switch a new file to write-ahead mode get in each other's way.
	p := newPool(t, path, 2)
	one := p.Statement("SELECT 1")
	var busy, done sync.WaitGroup
	finish := make(chan struct{})
	for range 2 {
		busy.Add(1)
		done.Go(func() {
			assert.NoError(t, one.Each(t.Context(), nil, func(scan func(...any) error) error {
				busy.Done()
				<-finish
				var n int
				return scan(&n)
			}))
		})
	}
	busy.Wait()
	var n int
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	assert.ErrorIs(t, one.Each(ctx, nil, func(scan func(...any) error) error { return scan(&n) }), context.DeadlineExceeded)

	closed := make(chan error)
	go func() { closed <- p.Close() }()
	select {
	case <-closed:
		t.Error("Close did not wait")
	case <-time.After(10 * time.Millisecond):
	}
	close(finish)
	done.Wait()
	assert.NoError(t, <-closed)
	assert.ErrorIs(t, p.Run(t.Context(), "SELECT 1"), errClosed)
}

// TestForeignTypes loads rows that somebody has written by hand, of any types: SQLite does
// not mind. None may be an error, which would lock out its visitor.
func TestForeignTypes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	b, db, ctx := newBackend(t, Config{DSN: path}), rawDB(t, path), t.Context()
	expiry := later.UTC().Format(timeLayout)
	for id, data := range map[string]any{"text": "abc", "blob": []byte("abc"), "int": 7, "real": 0.5} {
		mustExec(t, db, "INSERT INTO sessions (key, data, expired_at) VALUES (?, ?, ?)", id, data, expiry)
		r, err := b.Load(ctx, id)
		require.NoError(t, err, id)
		assert.NotEmpty(t, r.Data, id)
		found, err := b.LoadMany(ctx, []string{id, "other"})
		require.NoError(t, err)
		assert.Equal(t, map[string]session.Record{id: r}, found)
	}
	mustExec(t, db, "INSERT INTO sessions (key, data, expired_at) VALUES (CAST('key' AS BLOB), 'abc', ?)", expiry)
	_, err := b.Load(ctx, "key")
	assert.ErrorIs(t, err, session.ErrNotFound)
	for _, at := range []any{1, 0.5, []byte(expiry), "never"} {
		mustExec(t, db, "INSERT OR REPLACE INTO sessions (key, data, expired_at) VALUES ('odd', 'abc', ?)", at)
		_, err := b.Load(ctx, "odd")
		assert.ErrorIs(t, err, session.ErrNotFound, at)
	}
	n, err := b.Count(ctx, time.Now())
	require.NoError(t, err)
	assert.Positive(t, n)
}
