//go:build unix

package filestore

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/driver"
)

// TestOthers opens folders that other users prepared, or may look into.
func TestOthers(t *testing.T) {
	open := func(t *testing.T) string {
		dir := t.TempDir()
		require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // As a folder in the temporary one is.
		root := filepath.Join(dir, "sessions")
		b, err := Open(root, time.Hour, false)
		require.NoError(t, err)
		require.NoError(t, b.Create(t.Context(), "abc0000000000000", driver.Record{Data: []byte("1"), Expiry: time.Now().Add(time.Hour)}))
		require.NoError(t, b.Close())
		return root
	}
	again := func(root string) error {
		b, err := Open(root, time.Hour, false)
		if err == nil {
			err = b.Close()
		}
		return err
	}
	for _, name := range []string{"", "a", "a/b", ".locks"} {
		for _, mode := range []os.FileMode{0o755, 0o777, 0o701, 0o710, 0o770} {
			if name != "" && mode != 0o777 {
				continue // Nobody gets past RootDir.
			}
			root := open(t)
			path := filepath.Join(root, name)
			require.NoError(t, os.Chmod(path, mode))
			err := again(root)
			require.ErrorContains(t, err, "FileConfig.RootDir", "%s %v", name, mode)
			assert.ErrorContains(t, err, "chmod go= "+path)
			require.NoError(t, os.Chmod(path, 0o700))
			assert.NoError(t, again(root), "the remedy")
		}
	}
	// Nobody gets there.
	root := open(t)
	require.NoError(t, os.Chmod(root, 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(root), 0o700))
	assert.NoError(t, again(root))

	if os.Geteuid() != 0 {
		t.Log("NOT TESTED: folders of other users: only root can make them")
		return
	}
	for _, name := range []string{"", "a", "a/b", ".locks", ".locks/00"} {
		root := open(t)
		path := filepath.Join(root, name)
		require.NoError(t, os.Chown(path, 65534, 65534))
		err := again(root)
		require.ErrorContains(t, err, "FileConfig.RootDir", name)
		assert.ErrorContains(t, err, "chown -R 0 "+path)
	}
	// Somebody else was faster when the folder was gone.
	root = open(t)
	b, err := Open(root, time.Hour, false)
	require.NoError(t, err)
	defer func() { _ = b.Close() }()
	require.NoError(t, os.RemoveAll(root))
	require.NoError(t, os.Mkdir(root, 0o700))
	require.NoError(t, os.Chown(root, 65534, 65534))
	err = b.Create(t.Context(), "abd0000000000000", driver.Record{Data: []byte("1"), Expiry: time.Now().Add(time.Hour)})
	assert.ErrorContains(t, err, "chown")
}
