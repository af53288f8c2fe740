package filestore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

func init() { openFast = openLinux }

// linuxFolder is a folder on Linux 5.6 and later. openat2 opens a whole path in
// one system call and follows no link on the way; os.Root takes two calls for
// each folder. Renaming, removing and the like have no such variant, but need
// none with a name that has no slash. Bare file descriptors save the system call
// and the allocations that it takes to wrap one in an os.File.
type linuxFolder struct {
	fd      int
	cleanup runtime.Cleanup

	mu     sync.Mutex
	calls  int // under way; the last one closes the descriptor after Close
	closed bool
}

// openLinux opens RootDir. It fails where openat2 is missing, or forbidden by a
// sandbox.
func openLinux(path string) (folder, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	d := &linuxFolder{fd: fd}
	d.cleanup = runtime.AddCleanup(d, func(fd int) { _ = unix.Close(fd) }, fd)
	probe, err := d.sub(".")
	if err != nil {
		shut(d)
		return nil, err
	}
	return d, probe.Close()
}

// do calls f with the descriptor, and again when a signal has interrupted it. The
// descriptor stays open meanwhile: its number could be reused for another file.
func (d *linuxFolder) do(f func(fd int) error) error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return fs.ErrClosed
	}
	d.calls++
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.calls--
		_ = d.closeIdle()
	}()
	for {
		if err := f(d.fd); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (d *linuxFolder) openat2(path string, flags int, perm fs.FileMode) (fd int, err error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Mode:    uint64(perm),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	}
	err = d.do(func(dir int) error {
		fd, err = unix.Openat2(dir, path, &how)
		return err
	})
	return fd, err
}

func (d *linuxFolder) sub(path string) (folder, error) {
	fd, err := d.openat2(path, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &linuxFolder{fd: fd}, nil
}

// open leaves the time of access alone. A session's modification time may be in the
// future, and then every read would write the time of access to the disk. Only the
// file's owner may ask for that.
func (d *linuxFolder) open(path string) (file, error) {
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_LARGEFILE
	fd, err := d.openat2(path, flags|unix.O_NOATIME, 0)
	if errors.Is(err, unix.EPERM) {
		fd, err = d.openat2(path, flags, 0)
	}
	return linuxFile(fd), err
}

func (d *linuxFolder) create(name string) (file, error) {
	fd, err := d.openat2(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	return linuxFile(fd), err
}

func (d *linuxFolder) OpenFile(path string, flag int, perm fs.FileMode) (*os.File, error) {
	if flag&os.O_CREATE == 0 {
		perm = 0 // as openat2 insists
	}
	fd, err := d.openat2(path, flag, perm)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

func (d *linuxFolder) stat(path string) (info, error) {
	var st unix.Stat_t
	err := d.do(func(fd int) error { return unix.Fstatat(fd, path, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return linuxInfo(&st), err
}

func (d *linuxFolder) Mkdir(name string, perm fs.FileMode) error {
	return d.do(func(fd int) error { return unix.Mkdirat(fd, name, uint32(perm)) })
}

func (d *linuxFolder) Rename(from, to string) error {
	return d.do(func(fd int) error { return unix.Renameat(fd, from, fd, to) })
}

func (d *linuxFolder) Remove(name string) error {
	return d.do(func(fd int) error { return unix.Unlinkat(fd, name, 0) })
}

// Chtimes leaves the time of access alone.
func (d *linuxFolder) Chtimes(name string, _, mtime time.Time) error {
	ts, err := unix.TimeToTimespec(mtime)
	if err != nil {
		return err
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, ts}
	return d.do(func(fd int) error { return unix.UtimesNanoAt(fd, name, times, unix.AT_SYMLINK_NOFOLLOW) })
}

// Close does not wait for calls under way: a disk may hang.
func (d *linuxFolder) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	return d.closeIdle()
}

// closeIdle closes the descriptor if nobody will use it again.
func (d *linuxFolder) closeIdle() error {
	if !d.closed || d.calls > 0 {
		return nil
	}
	d.cleanup.Stop()
	return unix.Close(d.fd)
}

// linuxFile is the descriptor of an open file.
type linuxFile int

func (f linuxFile) Read(p []byte) (n int, err error) {
	for {
		n, err = unix.Read(int(f), p)
		switch {
		case errors.Is(err, unix.EINTR):
		case err == nil && n == 0:
			return 0, io.EOF
		default:
			return max(n, 0), err
		}
	}
}

func (f linuxFile) Write(p []byte) (n int, err error) {
	for n < len(p) {
		m, err := unix.Write(int(f), p[n:])
		n += max(m, 0)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
	return n, nil
}

func (f linuxFile) Close() error { return unix.Close(int(f)) }

func (f linuxFile) stat() (info, error) {
	var st unix.Stat_t
	err := unix.Fstat(int(f), &st)
	return linuxInfo(&st), err
}

func linuxInfo(st *unix.Stat_t) info {
	fi := info{mode: fs.ModeIrregular, size: st.Size, mtime: time.Unix(st.Mtim.Unix())}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		fi.mode = 0
	case unix.S_IFDIR:
		fi.mode = fs.ModeDir
	}
	return fi
}
