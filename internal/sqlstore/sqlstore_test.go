package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/sqlstore"
)

// The tests run on SQLite, with a minimal dialect and with the features that only other
// systems need. Package sqlite tests its own.
func bare() sqlstore.Dialect {
	return sqlstore.Dialect{
		Name:  "bare",
		Quote: '`',
		Key:   "`key`",
		Sweep: "DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE expired_at <= ? LIMIT ?)",
		Schema: func(t sqlstore.Table) []string {
			return []string{
				"CREATE TABLE " + t.String() + " (`key` TEXT PRIMARY KEY, data BLOB, expired_at DATETIME)",
				"CREATE INDEX " + t.Qualify(t.Index()) + " ON " + t.Quote(t.Name) + " (expired_at)",
			}
		},
		Class: func(err error) sqlstore.Class {
			switch text := err.Error(); {
			case strings.Contains(text, "UNIQUE"), strings.Contains(text, "already exists"):
				return sqlstore.Exists
			case strings.Contains(text, "no such table"):
				return sqlstore.NoTable
			case strings.Contains(text, "unable to open"): // as if a server were down
				return sqlstore.Unavailable
			}
			return sqlstore.Other
		},
	}
}

// Times go in and out as times here, in a form that sorts.
const params = "?_time_format=sqlite&_timezone=UTC"

var later = time.Now().UTC().Add(time.Hour).Truncate(time.Microsecond)

func record(data string) driver.Record {
	return driver.Record{Data: []byte(data), Expiry: later}
}

func newDB(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path+params)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

func newBackend(t *testing.T, d sqlstore.Dialect, db *sql.DB) *sqlstore.Backend {
	t.Helper()
	b, err := sqlstore.New(t.Context(), d, sqlstore.Options{Read: sqlstore.DB(db), Write: sqlstore.DB(db), InitTable: true})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Close()) })
	return b
}

func TestFlow(t *testing.T) {
	for name, with := range map[string]func(d *sqlstore.Dialect){
		"bare":                  func(*sqlstore.Dialect) {},
		"numbered placeholders": func(d *sqlstore.Dialect) { d.Placeholder = func(n int) string { return fmt.Sprintf("$%d", n) } },
		"changed rows":          func(d *sqlstore.Dialect) { d.ChangedRows = true },
	} {
		t.Run(name, func(t *testing.T) {
			d, ctx := bare(), t.Context()
			with(&d)
			db := newDB(t, filepath.Join(t.TempDir(), "s.db"))
			b := newBackend(t, d, db)
			newBackend(t, d, db) // Nothing is left to create.

			_, err := b.Load(ctx, "aaa")
			require.ErrorIs(t, err, driver.ErrNotFound)
			require.ErrorIs(t, b.Touch(ctx, "aaa", record("1"), later), driver.ErrConflict)
			require.ErrorIs(t, b.Replace(ctx, "aaa", record("1"), record("1")), driver.ErrConflict)
			require.NoError(t, b.Create(ctx, "aaa", record("1")))
			require.NoError(t, b.Create(ctx, "bbb", record("1")))
			require.ErrorIs(t, b.Create(ctx, "aaa", record("1")), driver.ErrExists)
			require.ErrorIs(t, b.Replace(ctx, "aaa", record("2"), record("2")), driver.ErrConflict)
			require.NoError(t, b.Replace(ctx, "aaa", record("1"), record("2")))
			require.ErrorIs(t, b.Move(ctx, "aaa", "bbb", record("2"), record("3")), driver.ErrExists)
			require.ErrorIs(t, b.Move(ctx, "aaa", "ccc", record("1"), record("3")), driver.ErrConflict)
			require.NoError(t, b.Move(ctx, "aaa", "ccc", record("2"), record("3")))
			r, err := b.Load(ctx, "ccc")
			require.NoError(t, err)
			assert.Equal(t, "3", string(r.Data))
			assert.True(t, r.Expiry.Equal(later))
			require.NoError(t, b.Touch(ctx, "ccc", record("3"), time.Now().Add(-time.Hour)))
			n, err := b.DeleteExpired(ctx, time.Now(), 5)
			require.NoError(t, err)
			assert.Equal(t, 1, n)
			require.NoError(t, b.Delete(ctx, "bbb"))
			require.NoError(t, b.Delete(ctx, "bbb"))
		})
	}
}

// MySQL does not count a row that an UPDATE does not change. A trigger makes SQLite
// behave like that.
func TestUncountedRows(t *testing.T) {
	d, ctx := bare(), t.Context()
	d.ChangedRows = true
	db := newDB(t, filepath.Join(t.TempDir(), "s.db"))
	b := newBackend(t, d, db)
	_, err := db.ExecContext(ctx, "CREATE TRIGGER same BEFORE UPDATE ON sessions WHEN (NEW.key, NEW.data, NEW.expired_at) IS (OLD.key, OLD.data, OLD.expired_at) BEGIN SELECT RAISE(IGNORE); END")
	require.NoError(t, err)

	require.NoError(t, b.Create(ctx, "aaa", record("1")))
	require.NoError(t, b.Touch(ctx, "aaa", record("1"), later), "a touch that changes nothing found no record")
	require.NoError(t, b.Replace(ctx, "aaa", record("1"), record("1")), "a replacement that changes nothing is a conflict")
	require.ErrorIs(t, b.Replace(ctx, "aaa", record("2"), record("2")), driver.ErrConflict)
	require.ErrorIs(t, b.Replace(ctx, "aaa", record("2"), record("1")), driver.ErrConflict, "the record holds the new bytes, but did not hold the old ones")
	require.ErrorIs(t, b.Replace(ctx, "bbb", record("1"), record("1")), driver.ErrConflict)
	require.ErrorIs(t, b.Touch(ctx, "bbb", record("1"), later), driver.ErrConflict)
}

func TestLazy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not yet")
	db, ctx := newDB(t, filepath.Join(dir, "s.db")), t.Context()
	o := sqlstore.Options{Read: sqlstore.DB(db), Write: sqlstore.DB(db)}
	_, err := sqlstore.New(ctx, bare(), o)
	require.ErrorContains(t, err, "Config.Table")
	o.Lazy = true
	b, err := sqlstore.New(ctx, bare(), o)
	require.NoError(t, err)
	require.ErrorIs(t, b.Touch(ctx, "aaa", record("1"), later), driver.ErrUnavailable)

	require.NoError(t, os.Mkdir(dir, 0o700))
	_, err = sqlstore.New(ctx, bare(), o)
	require.ErrorContains(t, err, "Config.InitTable", "a missing table is an error at the start, lazy or not")
	newBackend(t, bare(), db)
	require.ErrorIs(t, b.Touch(ctx, "aaa", record("1"), later), driver.ErrConflict, "it did not recover")
	require.NoError(t, b.Close())

	for _, text := range []string{"DROP TABLE sessions", "CREATE TABLE sessions (`key` TEXT, data BLOB)"} {
		_, err := db.ExecContext(ctx, text)
		require.NoError(t, err)
	}
	_, err = sqlstore.New(ctx, bare(), o)
	require.ErrorContains(t, err, "no such column", "what nobody knows does not pass by itself")
	require.NotErrorIs(t, err, driver.ErrUnavailable)
}

// A name that the system would cut off is none.
func TestLongNames(t *testing.T) {
	d, db := bare(), newDB(t, filepath.Join(t.TempDir(), "s.db"))
	d.MaxName = 5
	o := sqlstore.Options{Read: sqlstore.DB(db), Write: sqlstore.DB(db), InitTable: true}
	for name, long := range map[string]bool{"table": false, "tables": true, "main.table": false, "schema.t": true, "tablé": true} {
		o.Table = name
		_, err := sqlstore.New(t.Context(), d, o)
		if long {
			assert.ErrorContains(t, err, "Config.Table", name)
		} else {
			assert.NoError(t, err, name)
		}
	}
}

// A record that could not be changed is not stored.
func TestMaxData(t *testing.T) {
	ctx, db := t.Context(), newDB(t, filepath.Join(t.TempDir(), "s.db"))
	b, err := sqlstore.New(ctx, bare(), sqlstore.Options{Read: sqlstore.DB(db), Write: sqlstore.DB(db), InitTable: true, MaxData: 3})
	require.NoError(t, err)
	require.NoError(t, b.Create(ctx, "aaa", record("123")))
	for _, err := range []error{
		b.Create(ctx, "bbb", record("1234")), b.Replace(ctx, "aaa", record("123"), record("1234")), b.Move(ctx, "aaa", "bbb", record("123"), record("1234")),
	} {
		require.ErrorContains(t, err, "4 bytes")
		require.ErrorContains(t, err, "keep large values elsewhere")
	}
	require.NoError(t, b.Replace(ctx, "aaa", record("123"), record("456")))
	_, err = b.Load(ctx, "bbb")
	require.ErrorIs(t, err, driver.ErrNotFound)
}

func TestRetry(t *testing.T) {
	busy := errors.New("busy")
	class := func(err error) sqlstore.Class {
		if errors.Is(err, busy) {
			return sqlstore.Busy
		}
		return sqlstore.Other
	}
	var tries int
	require.NoError(t, sqlstore.Retry(t.Context(), class, func() error {
		if tries++; tries < 4 {
			return busy
		}
		return nil
	}))
	assert.Equal(t, 4, tries)

	tries = 0
	other := errors.New("other")
	require.ErrorIs(t, sqlstore.Retry(t.Context(), class, func() error { tries++; return other }), other)
	assert.Equal(t, 1, tries)

	tries = 0
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	err := sqlstore.Retry(ctx, class, func() error { tries++; return busy })
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, busy)
	assert.Greater(t, tries, 3)
	assert.Less(t, tries, 200, "without pauses it would burn the processor")
	assert.Less(t, time.Since(start), 5*time.Second)
}

func TestParseTable(t *testing.T) {
	for name, want := range map[string]string{
		"sessions":           "`sessions`",
		"app.sessions":       "`app`.`sessions`",
		"a`b":                "`a``b`",
		"a`.b":               "`a```.`b`",
		"`a.b`":              "`a.b`",
		"`a``.b`.`c`":        "`a``.b`.`c`",
		"a.`b.c`":            "`a`.`b.c`",
		"`a`.b":              "`a`.`b`",
		"; DROP TABLE x; --": "`; DROP TABLE x; --`",
		`a"b`:                "`a\"b`",
	} {
		table, err := sqlstore.ParseTable(name, '`')
		if assert.NoError(t, err, name) {
			assert.Equal(t, want, table.String())
		}
	}
	for _, name := range []string{"", ".", "a.", ".a", "a.b.c", "`", "``", "`a", "`a``", "`a`b", "`a`.", "a\x00b", "`a\x00`"} {
		_, err := sqlstore.ParseTable(name, '`')
		assert.Error(t, err, name)
	}
	table, err := sqlstore.ParseTable("app.sessions", '"')
	require.NoError(t, err)
	assert.Equal(t, `"app"."sessions_expired_at_idx"`, table.Qualify(table.Index()))
}
