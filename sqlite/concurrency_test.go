package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/sqlstore"
)

func TestOpenFreshFileTogether(t *testing.T) {
	for name, query := range map[string]string{"waiting": "", "not waiting": "?_timeout=0"} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				path := filepath.Join(t.TempDir(), "s.db")
				var wg sync.WaitGroup
				errs := make([]error, 8)
				for i := range errs {
					wg.Go(func() {
						b, _, err := open(t.Context(), Config{DSN: path + query, InitTable: true})
						if err == nil {
							err = b.Close()
						}
						errs[i] = err
					})
				}
				wg.Wait()
				require.NoError(t, errors.Join(errs...))
			}
		})
	}
}

// write is what a busy site does; any error means a lost request.
func write(ctx context.Context, b session.Backend, id string) error {
	if err := b.Create(ctx, id, record("0")); err != nil {
		return err
	}
	if err := b.Replace(ctx, id, record("0"), record("1")); err != nil {
		return err
	}
	if err := b.Touch(ctx, id, record("1"), later); err != nil {
		return err
	}
	if r, err := b.Load(ctx, id); err != nil || string(r.Data) != "1" {
		return fmt.Errorf("loaded %q, %w", r.Data, err)
	}
	if err := b.Move(ctx, id, id+"x", record("1"), record("2")); err != nil {
		return err
	}
	return b.Delete(ctx, id+"x")
}

// writeAll writes from 16 goroutines, and fails the test with their first error.
func writeAll(t *testing.T, b session.Backend, each int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	errs := make(chan error, 16)
	for g := range 16 {
		wg.Go(func() {
			for i := range each {
				if err := write(ctx, b, fmt.Sprintf("id%dx%d", g, i)); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	require.NoError(t, <-errs)
}

func TestConcurrentWriters(t *testing.T) {
	for name, dsn := range dsns(t) {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t, Config{DSN: dsn})
			if name == "rollback" {
				writeAll(t, b, 3) // Each write waits for the disk there.
				return
			}
			writeAll(t, b, 20)
		})
	}
}

func TestUserDB(t *testing.T) {
	db := rawDB(t, filepath.Join(t.TempDir(), "s.db"))
	db.SetMaxOpenConns(7)
	b, _, err := open(t.Context(), Config{DB: db, DSN: "/nonexistent/is/ignored", InitTable: true})
	require.NoError(t, err)
	// Neither a busy timeout nor write-ahead mode: every second statement meets a
	// lock, and is tried again.
	writeAll(t, b, 3)
	require.NoError(t, b.Create(t.Context(), "kept", record("x")))
	require.NoError(t, b.Close())

	assert.Equal(t, 7, db.Stats().MaxOpenConnections)
	var mode string
	var n int
	require.NoError(t, db.QueryRow("PRAGMA journal_mode").Scan(&mode), "the user's database was closed")
	assert.Equal(t, "delete", mode, "the user's settings were changed")
	require.NoError(t, db.QueryRow("SELECT count(*) FROM sessions").Scan(&n))
	assert.Equal(t, 1, n)
}

// A lock that is held for longer than a request may take must fail that request
// in time, and none after it.
func TestLockedThenFree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	other, err := rawDB(t, path).Conn(t.Context())
	require.NoError(t, err)
	defer func() { _ = other.Close() }()

	plain := newBackend(t, Config{DSN: path})
	mine := newBackend(t, Config{DB: rawDB(t, path)})
	require.NoError(t, plain.Create(t.Context(), "aaa", record("x")))
	for name, b := range map[string]*sqlstore.Backend{"DSN": plain, "DB": mine} {
		t.Run(name, func(t *testing.T) {
			_, err := other.ExecContext(t.Context(), "BEGIN IMMEDIATE")
			require.NoError(t, err)
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			err = b.Touch(ctx, "aaa", record("x"), later)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.NotContains(t, err.Error(), "aaa", "an ID in an error")
			assert.Less(t, time.Since(start), 2*time.Second, "the deadline of the request was ignored")
			assert.Equal(t, "x", loadData(t, b, "aaa"), "reading waits for a writer")

			_, err = other.ExecContext(t.Context(), "ROLLBACK")
			require.NoError(t, err)
			require.NoError(t, b.Touch(t.Context(), "aaa", record("x"), later))
		})
	}
}

func TestMemorySurvivesCancelledRequests(t *testing.T) {
	b := newBackend(t, Config{DSN: ":memory:"})
	require.NoError(t, b.Create(t.Context(), "aaa", record("x")))
	var failed int
	for i := range 500 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*500*time.Nanosecond)
		if b.Touch(ctx, "aaa", record("x"), later) != nil {
			failed++
		}
		cancel()
	}
	assert.Positive(t, failed, "no call was cancelled")
	assert.Equal(t, "x", loadData(t, b, "aaa"))
}
