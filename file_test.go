package session_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/driver/drivertest"
)

func TestMain(m *testing.M) {
	drivertest.Main(m, map[string]func(string) session.Options{"file": fileOptions})
}

func fileOptions(dir string) session.Options {
	return session.Options{Initer: session.FileIniter(), Config: session.FileConfig{RootDir: dir}}
}

func TestFileSuite(t *testing.T) {
	var dir string
	drivertest.Suite{
		Open: func(t *testing.T) func() session.Options {
			dir = t.TempDir()
			return func() session.Options { return fileOptions(dir) }
		},
		Corrupt: func(t *testing.T, id string) {
			path := filepath.Join(dir, id[:1], id[1:2], id)
			require.FileExists(t, path)
			require.NoError(t, os.WriteFile(path, []byte("no gob"), 0o600))
		},
	}.Run(t)
}

func TestFileProcesses(t *testing.T) {
	drivertest.Processes(t, "file", func(t *testing.T) string { return t.TempDir() })
}

func TestFileDefaultRootDir(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	store, err := session.FileIniter()(t.Context(), session.FileConfig{})
	require.NoError(t, err)
	t.Chdir(t.TempDir()) // Must not matter any more.
	require.NoError(t, store.Save(t.Context(), session.NewBaseSession("abc", nil, nil)))
	require.FileExists(t, filepath.Join(dir, "sessions", "a", "b", "abc"))
	require.NoError(t, store.(io.Closer).Close())
}
