package filestore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/flamego/session/driver"
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

// Where openat2 works it is used, and where it does not, os.Root is.
func TestOpenat2(t *testing.T) {
	kind := func() folder { return open(t, t.TempDir()).root.opened().folder }
	_, err := unix.Openat2(-1, ".", &unix.OpenHow{}) // Only the descriptor is wrong with that.
	if openFast != nil && errors.Is(err, unix.EBADF) {
		assert.IsType(t, &linuxFolder{}, kind())
	} else {
		assert.IsType(t, osRoot{}, kind())
	}

	defer func(f func(string) (folder, error)) { openFast = f }(openFast)
	openFast = func(string) (folder, error) { return nil, unix.EPERM }
	assert.IsType(t, osRoot{}, kind(), "a sandbox forbids openat2")
}

// RootDir and the lock files stay open until Close, and nothing else.
func TestDescriptors(t *testing.T) {
	dir := t.TempDir()
	b, ctx := open(t, dir), t.Context()
	left := func() (list []string) {
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		for _, e := range entries {
			path, _ := os.Readlink("/proc/self/fd/" + e.Name())
			if strings.HasPrefix(path, dir) {
				list = append(list, path)
			}
		}
		return list
	}
	opened := func() []string {
		return slices.DeleteFunc(left(), func(path string) bool { return filepath.Base(filepath.Dir(path)) == lockDir })
	}
	for _, h := range append(hostiles(), hostile{Make: func(t *testing.T, path, _, _ string) {
		require.NoError(t, os.WriteFile(path, []byte("1"), 0o600))
	}}) {
		path := pathOf(dir, testID)
		require.NoError(t, os.RemoveAll(filepath.Dir(filepath.Dir(path))))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		h.Make(t, path, filepath.Join(t.TempDir(), "none"), filepath.Join(dir, "none"))
		everyMethod(ctx, b, testID, otherID)
		_, _ = b.Count(ctx, time.Now())
		require.Equal(t, []string{dir}, opened(), h.Name)
	}

	// Whoever is at work when it is closed closes the rest.
	n := lockNumber(testID)
	require.NoError(t, b.lock(ctx, n))
	if d, ok := b.root.opened().folder.(*linuxFolder); ok {
		require.NoError(t, d.do(func(int) error {
			require.NoError(t, b.Close())
			assert.Equal(t, []string{dir}, opened())
			return nil
		}))
	} else {
		require.NoError(t, b.Close())
	}
	b.unlock(n)
	assert.Empty(t, left())
}

// A read changes nothing on the disk, not even the time of access. Linux sets that
// when the modification time is later, as it is in the first part of a session's life.
func TestLoadWritesNothing(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	if _, ok := b.root.opened().folder.(osRoot); ok {
		return // It cannot ask for that.
	}
	rec := driver.Record{Data: []byte("1"), Expiry: time.Now().Add(b.lifetime + time.Hour)}
	require.NoError(t, b.Create(t.Context(), testID, rec))
	atime := func() (at unix.Timespec) {
		var st unix.Stat_t
		require.NoError(t, unix.Stat(pathOf(dir, testID), &st))
		return st.Atim
	}
	before := atime()
	for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); { // The kernel's clock ticks.
		_, err := b.Load(t.Context(), testID)
		require.NoError(t, err)
		require.Equal(t, before, atime())
	}
}

// A file of another user is read as well, where its mode allows that.
func TestFileOfAnotherUser(t *testing.T) {
	likeAnybody(t, t.TempDir())
	etc, err := openRoot("/etc")
	require.NoError(t, err)
	defer shut(etc)
	f, err := etc.open("passwd")
	require.NoError(t, err)
	require.NoError(t, f.Close())
}
