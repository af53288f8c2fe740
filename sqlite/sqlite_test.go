package sqlite

import (
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/sqlstore"
)

// later is an expiry that is whole in microseconds, as stored.
var later = time.Now().UTC().Add(time.Hour).Truncate(time.Microsecond)

func record(data string) session.Record {
	return session.Record{Data: []byte(data), Expiry: later}
}

// newBackend opens a backend that is closed with the test, and makes its table.
func newBackend(t testing.TB, cfg Config) *sqlstore.Backend {
	t.Helper()
	cfg.InitTable = true
	b, _, err := open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Close()) })
	return b
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

func loadData(t testing.TB, b session.Backend, id string) string {
	t.Helper()
	r, err := b.Load(t.Context(), id)
	require.NoError(t, err)
	return string(r.Data)
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
	for name, dsn := range dsns(t) {
		t.Run(name, func(t *testing.T) {
			b, ctx := newBackend(t, Config{DSN: dsn}), t.Context()

			_, err := b.Load(ctx, "aaa")
			require.ErrorIs(t, err, session.ErrNotFound)
			require.ErrorIs(t, b.Touch(ctx, "aaa", later), session.ErrNotFound)
			require.ErrorIs(t, b.Replace(ctx, "aaa", nil, record("x")), session.ErrConflict)
			require.ErrorIs(t, b.Move(ctx, "aaa", "bbb", nil, record("x")), session.ErrConflict)
			require.NoError(t, b.Delete(ctx, "aaa"))

			require.NoError(t, b.Create(ctx, "aaa", record("1\x00\xff")))
			require.ErrorIs(t, b.Create(ctx, "aaa", record("2")), session.ErrExists)
			r, err := b.Load(ctx, "aaa")
			require.NoError(t, err)
			assert.Equal(t, record("1\x00\xff"), r)

			require.ErrorIs(t, b.Replace(ctx, "aaa", []byte("1"), record("2")), session.ErrConflict)
			require.NoError(t, b.Replace(ctx, "aaa", []byte("1\x00\xff"), record("2")))
			assert.Equal(t, "2", loadData(t, b, "aaa"))

			require.NoError(t, b.Create(ctx, "bbb", record("other")))
			require.ErrorIs(t, b.Move(ctx, "aaa", "bbb", []byte("2"), record("3")), session.ErrExists)
			require.ErrorIs(t, b.Move(ctx, "aaa", "ccc", []byte("1"), record("3")), session.ErrConflict)
			assert.Equal(t, "2", loadData(t, b, "aaa"), "a move that failed changed the record")
			require.NoError(t, b.Move(ctx, "aaa", "ccc", []byte("2"), record("3")))
			assert.Equal(t, "3", loadData(t, b, "ccc"))
			_, err = b.Load(ctx, "aaa")
			require.ErrorIs(t, err, session.ErrNotFound, "the old ID outlived the move")

			past := time.Now().Add(-time.Second)
			require.NoError(t, b.Touch(ctx, "ccc", past))
			r, err = b.Load(ctx, "ccc")
			require.NoError(t, err)
			assert.Equal(t, "3", string(r.Data))
			assert.False(t, r.Expiry.After(past), "the expiry became later")
			assert.WithinDuration(t, past, r.Expiry, time.Microsecond)

			n, err := b.DeleteExpired(ctx, time.Now(), 10)
			require.NoError(t, err)
			assert.Equal(t, 1, n)
			require.NoError(t, b.Delete(ctx, "bbb"))
			_, err = b.Load(ctx, "bbb")
			require.ErrorIs(t, err, session.ErrNotFound)
		})
	}
}

func TestEmptyData(t *testing.T) {
	b, ctx := newBackend(t, Config{DSN: ":memory:"}), t.Context()
	require.NoError(t, b.Create(ctx, "aaa", session.Record{Expiry: later}))
	assert.Empty(t, loadData(t, b, "aaa"))
	require.NoError(t, b.Replace(ctx, "aaa", nil, session.Record{Data: []byte{}, Expiry: later}))
	require.NoError(t, b.Replace(ctx, "aaa", []byte{}, record("x")))
	require.NoError(t, b.Move(ctx, "aaa", "bbb", []byte("x"), session.Record{Expiry: later}))
	assert.Empty(t, loadData(t, b, "bbb"))
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
	ctx := t.Context()
	idWriter := session.IDWriter(func(http.ResponseWriter, *http.Request, string) {})
	_, err := Initer()(ctx, "sessions.db", idWriter)
	require.ErrorContains(t, err, "sqlite.Config")

	path := filepath.Join(t.TempDir(), "s.db")
	store, err := Initer()(ctx, Config{DSN: path, InitTable: true, Lifetime: time.Minute}, idWriter)
	require.NoError(t, err)
	s, err := store.Read(ctx, "abcdef0123456789")
	require.NoError(t, err)
	s.Set("name", "flamego")
	require.NoError(t, store.Save(ctx, s))
	s, err = store.Read(ctx, "abcdef0123456789")
	require.NoError(t, err)
	assert.Equal(t, "flamego", s.Get("name"))

	var expiry string
	require.NoError(t, rawDB(t, path).QueryRow("SELECT expired_at FROM sessions").Scan(&expiry))
	at, err := time.Parse(timeLayout, expiry)
	require.NoError(t, err)
	assert.InDelta(t, 61.5, time.Until(at).Seconds(), 1.6, "the lifetime of the Config was not used")
	require.Implements(t, (*io.Closer)(nil), store)
	require.NoError(t, store.(io.Closer).Close())
}
