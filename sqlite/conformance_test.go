package sqlite

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/sessiontest"
)

// serverOf makes the options of a server on the database file.
func serverOf(path string) session.Options {
	return session.Options{
		Initer: Initer(),
		Config: Config{DSN: path, InitTable: true},
	}
}

func TestConformance(t *testing.T) {
	var path string
	sessiontest.Suite{
		Open: func(t *testing.T) func() session.Options {
			path = filepath.Join(t.TempDir(), "sessions.db")
			return func() session.Options { return serverOf(path) }
		},
		Corrupt: func(t *testing.T, id string) {
			db, err := sql.Open("sqlite", path)
			require.NoError(t, err)
			defer func() { _ = db.Close() }()
			res, err := db.Exec("UPDATE sessions SET data = 'garbage' WHERE key = ?", id)
			require.NoError(t, err)
			n, err := res.RowsAffected()
			require.NoError(t, err)
			require.EqualValues(t, 1, n)
		},
	}.Run(t)
}

func TestProcesses(t *testing.T) {
	sessiontest.Processes(t, "sqlite", func(t *testing.T) string {
		return filepath.Join(t.TempDir(), "sessions.db")
	})
}
