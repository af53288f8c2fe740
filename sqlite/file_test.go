package sqlite

import (
	"bytes"
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/test/backendtest"
)

// A file that is removed or replaced under the running server is noticed by the next call, and
// what it held is back with the file.
func TestFileGone(t *testing.T) {
	for name, dsn := range map[string]func(path string) string{
		"path": func(path string) string { return path },
		"URI":  func(path string) string { return "file:" + path + "?_pragma=cache_size(-1000)" },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s.db")
			b, ctx := newBackend(t, Config{DSN: dsn(path)}), t.Context()
			require.NoError(t, b.Create(ctx, "aaa", record("1")))
			require.NoError(t, os.Rename(path, path+".moved"))
			gone := func() {
				t.Helper()
				_, found := b.Load(ctx, "aaa")
				for _, err := range []error{b.Create(ctx, "bbb", record("1")), found} {
					assert.ErrorContains(t, err, "restart the server")
					backendtest.AssertOutage(t, err, "gone")
				}
			}
			gone()
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			gone()
			require.NoError(t, os.Rename(path+".moved", path))
			require.NoError(t, b.Create(ctx, "ccc", record("1")))
			assert.Equal(t, "1", backendtest.Data(t, b, "aaa"))
			_, err := b.Load(ctx, "bbb")
			require.Error(t, err)
		})
	}
}

// Another SQLite library in the process is a warning, if the application may use it on the same
// file.
func TestOtherLibrary(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	path := filepath.Join(t.TempDir(), "s.db")
	db := rawDB(t, path)
	start := func(cfg Config) (warning string) {
		log.Reset()
		cfg.InitTable = true
		b, _, err := open(t.Context(), cfg)
		require.NoError(t, err)
		require.NoError(t, b.Close())
		return log.String()
	}
	if !slices.Contains(sql.Drivers(), "sqlite3") { // as with -count=2
		assert.Empty(t, start(Config{DSN: path}))
		sql.Register("sqlite3", db.Driver())
	}
	assert.Contains(t, start(Config{DSN: path}), "Config.DB")
	assert.Empty(t, start(Config{DB: db}))
}
