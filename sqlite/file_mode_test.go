//go:build unix

package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/sqlite"
)

// TestOthers opens database files that other users made, or can read.
func TestOthers(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // As a folder in the temporary one is.
	path := filepath.Join(dir, "a b.db")
	start := func(dsn string) error {
		m, err := session.NewManager(session.Options{Initer: sqlite.Initer(), Config: sqlite.Config{DSN: dsn, InitTable: true}})
		if err == nil {
			for _, suffix := range []string{"", "-wal", "-shm"} {
				fi, err := os.Stat(path + suffix)
				require.NoError(t, err, dsn)
				assert.Equal(t, os.FileMode(0o600), fi.Mode(), "%s%s", dsn, suffix)
			}
			err = m.Close(t.Context())
		}
		return err
	}
	for _, dsn := range []string{path, "file:" + path, "file://" + filepath.Join(dir, "a%20b.db"), "file://localhost" + path + "?_pragma=foreign_keys(1)"} {
		_ = os.Remove(path)
		require.NoError(t, start(dsn), dsn)
	}

	// Another program keeps the log open.
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer func() { _ = db.Close() }()
	_, err = db.Exec("CREATE TABLE other (id)")
	require.NoError(t, err)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		for _, mode := range []os.FileMode{0o604, 0o640, 0o644, 0o666} {
			require.NoError(t, os.Chmod(path+suffix, mode))
			err := start(path)
			require.ErrorContains(t, err, "Config.DSN", "%s %v", suffix, mode)
			assert.ErrorContains(t, err, "chmod go= "+path+suffix)
			require.NoError(t, os.Chmod(path+suffix, 0o600))
		}
	}
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(path, 65534, 65534)) // For root, SQLite itself mends the other two.
		assert.ErrorContains(t, start(path), "chown")
		require.NoError(t, os.Chown(path, 0, 0))
	} else {
		t.Log("NOT TESTED: database files of other users: only root can make them")
	}
	require.NoError(t, start(path))

	// In a folder that nobody else can enter, as v1.6.6 left it.
	require.NoError(t, os.Chmod(path, 0o644))
	require.NoError(t, os.Chmod(dir, 0o700))
	m, err := session.NewManager(session.Options{Initer: sqlite.Initer(), Config: sqlite.Config{DSN: path}})
	require.NoError(t, err)
	require.NoError(t, m.Close(t.Context()))
}
