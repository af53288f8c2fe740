package compat

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/flamego/session/test/compat/legacy/app"
)

// lifetime is what all servers of the tests have. Its twentieth is what we add
// to it, to be spared a write with each request.
const lifetime = time.Hour

// storage is a kind of store that two servers can share, and what a test does to
// its records behind their backs.
type storage struct {
	name string
	// config returns the configuration of an empty one.
	config func(t *testing.T) app.Config
	// age puts a record's times back, as if so much time had gone by since.
	age func(t *testing.T, cfg app.Config, id string, by time.Duration)
	// duplicate copies a record to another ID.
	duplicate func(t *testing.T, cfg app.Config, id, newID string)
	exists    func(t *testing.T, cfg app.Config, id string) bool
	// v1.6.6 adds Lifetime to the time in the table once more when it reads.
	doubles bool
}

var storages = []storage{
	{
		name: "file",
		config: func(t *testing.T) app.Config {
			return app.Config{Store: "file", Path: filepath.Join(t.TempDir(), "sessions"), Lifetime: lifetime}
		},
		age: func(t *testing.T, cfg app.Config, id string, by time.Duration) {
			fi, err := os.Stat(filename(cfg, id))
			require.NoError(t, err)
			require.NoError(t, os.Chtimes(filename(cfg, id), time.Time{}, fi.ModTime().Add(-by)))
		},
		duplicate: func(t *testing.T, cfg app.Config, id, newID string) {
			data, err := os.ReadFile(filename(cfg, id))
			require.NoError(t, err)
			fi, err := os.Stat(filename(cfg, id))
			require.NoError(t, err)
			to := filename(cfg, newID)
			require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o700))
			require.NoError(t, os.WriteFile(to, data, 0o600))
			require.NoError(t, os.Chtimes(to, time.Time{}, fi.ModTime()))
		},
		exists: func(t *testing.T, cfg app.Config, id string) bool {
			_, err := os.Stat(filename(cfg, id))
			if err != nil {
				require.True(t, errors.Is(err, fs.ErrNotExist), err)
			}
			return err == nil
		},
	},
	{
		name: "sqlite",
		config: func(t *testing.T) app.Config {
			// Without a busy timeout v1.6.6 panics when anybody else writes.
			dsn := filepath.Join(t.TempDir(), "sessions.db") + "?_pragma=busy_timeout(10000)"
			return app.Config{Store: "sqlite", Path: dsn, InitTable: true, Lifetime: lifetime}
		},
		age: func(t *testing.T, cfg app.Config, id string, by time.Duration) {
			db := database(t, cfg)
			var text string
			require.NoError(t, db.QueryRow("SELECT expired_at FROM sessions WHERE key = ?", id).Scan(&text))
			at, err := time.Parse(time.DateTime, text)
			require.NoError(t, err)
			_, err = db.Exec("UPDATE sessions SET expired_at = ? WHERE key = ?", at.Add(-by).Format(sameLayout(text)), id)
			require.NoError(t, err)
		},
		duplicate: func(t *testing.T, cfg app.Config, id, newID string) {
			_, err := database(t, cfg).Exec(
				"INSERT INTO sessions (key, data, expired_at) SELECT ?, data, expired_at FROM sessions WHERE key = ?", newID, id)
			require.NoError(t, err)
		},
		exists: func(t *testing.T, cfg app.Config, id string) bool {
			var n int
			require.NoError(t, database(t, cfg).QueryRow("SELECT count(*) FROM sessions WHERE key = ?", id).Scan(&n))
			return n == 1
		},
		doubles: true,
	},
}

func filename(cfg app.Config, id string) string {
	return filepath.Join(cfg.Path, id[:1], id[1:2], id)
}

// database opens the database of the servers, until the end of the test.
func database(t *testing.T, cfg app.Config) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", cfg.Path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// sameLayout keeps the fraction of a second where there was one: we write it,
// v1.6.6 does not.
func sameLayout(text string) string {
	if len(text) > len(time.DateTime) {
		return time.DateTime + ".000000"
	}
	return time.DateTime
}

// bothWays runs a test on each kind of storage, with either version first.
func bothWays(t *testing.T, test func(t *testing.T, st storage, first, second start)) {
	for _, st := range storages {
		t.Run(st.name+"/v1.6.6 then ours", func(t *testing.T) { test(t, st, startLegacy, startOurs) })
		t.Run(st.name+"/ours then v1.6.6", func(t *testing.T) { test(t, st, startOurs, startLegacy) })
	}
}
