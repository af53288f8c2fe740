package sqlite

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/driver/drivertest"
	"github.com/flamego/session/internal/sqlstore"
	"github.com/flamego/session/test/backendtest"
)

// What all backends are tested with.
var (
	later    = backendtest.Later
	record   = backendtest.Record
	loadData = backendtest.Data
)

// newBackend opens a backend that is closed with the test, and makes its table.
func newBackend(t testing.TB, cfg Config) *sqlstore.Backend {
	t.Helper()
	cfg.InitTable = true
	return backendtest.Open(t, open, cfg)
}

// rawDB opens a database the way an application may, with the driver's defaults.
func rawDB(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

func mustExec(t testing.TB, db *sql.DB, query string, args ...any) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), query, args...)
	require.NoError(t, err)
}

// dsns are ways to name a database that must all work alike.
func dsns(t testing.TB) map[string]string {
	dir := t.TempDir()
	return map[string]string{
		"plain":          filepath.Join(dir, "plain.db"),
		"odd name":       filepath.Join(dir, "a b%20#ü&c=d.db"),
		"parameters":     filepath.Join(dir, "params.db") + "?_pragma=cache_size(-1000)",
		"URI":            "file:" + filepath.Join(dir, "uri.db"),
		"URI parameters": "file:" + filepath.Join(dir, "uri2.db") + "?mode=rwc&cache=private",
		"rollback":       filepath.Join(dir, "rollback.db") + "?_journal_mode=DELETE",
		"memory":         ":memory:",
		"memory URI":     "file::memory:",
		"memory mode":    "file:a?mode=memory",
		"memory shared":  "file:b?mode=memory&cache=shared",
		"memdb":          "file:/c?vfs=memdb",
	}
}

func TestContract(t *testing.T) {
	t.Run("file", func(t *testing.T) {
		backendtest.Contract(t, open, func(t *testing.T) Config {
			return Config{DSN: filepath.Join(t.TempDir(), "s.db"), InitTable: true}
		})
	})
	t.Run("memory", func(t *testing.T) {
		drivertest.Backend(t, func(t *testing.T) func() session.Backend {
			b := newBackend(t, Config{DSN: ":memory:"})
			return func() session.Backend { return b } // Another one would have another database.
		})
	})
	// As an application may open it: neither a busy timeout nor write-ahead mode.
	t.Run("DB", func(t *testing.T) {
		backendtest.Contract(t, open, func(t *testing.T) Config {
			return Config{DB: rawDB(t, filepath.Join(t.TempDir(), "s.db")), InitTable: true}
		})
	})
}

// TestDSNs makes every call with every kind of DSN.
func TestDSNs(t *testing.T) {
	for name, dsn := range dsns(t) {
		t.Run(name, func(t *testing.T) {
			b, ctx := newBackend(t, Config{DSN: dsn}), t.Context()
			require.NoError(t, write(ctx, b, "aaa"))

			require.NoError(t, b.Create(ctx, "ccc", record("3")))
			r, err := b.Load(ctx, "ccc")
			require.NoError(t, err)
			assert.Equal(t, record("3"), r)
			past := time.Now().Add(-time.Second)
			require.NoError(t, b.Touch(ctx, "ccc", record("3"), past))
			r, err = b.Load(ctx, "ccc")
			require.NoError(t, err)
			assert.Equal(t, "3", string(r.Data))
			assert.False(t, r.Expiry.After(past), "the expiry became later")
			assert.WithinDuration(t, past, r.Expiry, time.Microsecond)

			n, err := b.DeleteExpired(ctx, time.Now(), 10)
			require.NoError(t, err)
			assert.Equal(t, 1, n)
		})
	}
}

func TestDeleteExpiredBatches(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	b, ctx := newBackend(t, Config{DSN: path}), t.Context()
	now := time.Now().UTC().Truncate(time.Microsecond)
	for i := range 25 {
		require.NoError(t, b.Create(ctx, fmt.Sprintf("old%d", i), session.Record{Expiry: now.Add(-time.Duration(i))}))
	}
	require.NoError(t, b.Create(ctx, "new", session.Record{Expiry: now.Add(time.Microsecond)}))
	for _, want := range []int{10, 10, 5, 0} {
		n, err := b.DeleteExpired(ctx, now, 10)
		require.NoError(t, err)
		assert.Equal(t, want, n)
	}
	_, err := b.Load(ctx, "new")
	require.NoError(t, err)

	rows, err := rawDB(t, path).QueryContext(ctx, "EXPLAIN QUERY PLAN "+
		strings.NewReplacer("{table}", "sessions", "{key}", "key").Replace(dialect.Sweep), "x", 1)
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	var plan []string
	for rows.Next() {
		var a, b, c any
		var line string
		require.NoError(t, rows.Scan(&a, &b, &c, &line))
		plan = append(plan, line)
	}
	require.NoError(t, rows.Err())
	assert.Contains(t, strings.Join(plan, "\n"), "sessions_expired_at_idx", "the sweep does not use the index")
	assert.NotContains(t, strings.Join(plan, "\n"), "SCAN sessions", "the sweep reads the whole table")
}

func TestClose(t *testing.T) {
	dir := t.TempDir()
	b, _, err := open(t.Context(), Config{DSN: filepath.Join(dir, "s.db"), InitTable: true})
	require.NoError(t, err)
	require.NoError(t, b.Create(t.Context(), "aaa", record("x")))
	require.NoError(t, b.Close())
	_, err = b.Load(t.Context(), "aaa")
	require.Error(t, err)
	require.NotErrorIs(t, err, session.ErrNotFound)

	// SQLite removes its other files when the last connection is gone.
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, files, 1, "a connection was left open")
}

func TestIniter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	backendtest.NoConfig(t, Initer(), "sqlite.Config")
	backendtest.Initer(t, Initer(), Config{DSN: path, InitTable: true, Lifetime: time.Minute}, func(id string) time.Time {
		var expiry string
		require.NoError(t, rawDB(t, path).QueryRow("SELECT expired_at FROM sessions WHERE key = ?", id).Scan(&expiry))
		at, err := time.Parse(timeLayout, expiry)
		require.NoError(t, err)
		return at
	})
}
