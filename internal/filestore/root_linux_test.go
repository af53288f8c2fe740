package filestore

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// likeAnybody has the test obey the modes of files in its t.TempDir also when root runs
// it: the kernel looks at the file system user of the thread.
func likeAnybody(t *testing.T, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	const nobody = 65534
	// The folder above is one of the test's own, too, and closed to others.
	require.NoError(t, filepath.WalkDir(filepath.Dir(dir), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	}))
	runtime.LockOSThread() // And never back: the thread ends with the test.
	_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0)
}
