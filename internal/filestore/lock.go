package filestore

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

const (
	// lockCount is the number of lock files. All processes that share a RootDir rely on
	// it, and on how an ID maps to its lock: neither may change.
	lockCount = 256
	lockDir   = ".locks"
)

// lock is a lock file, with a lock of this process in front of it: only one goroutine at
// a time asks the system for the file lock. Except on Windows, the file stays open from
// one use to the next.
type lock struct {
	turn chan struct{} // full while a goroutine has the lock; the fields below are that goroutine's
	file *os.File
	path string
	id   fs.FileInfo // for os.SameFile
}

// lockNumber is the number of an ID's lock.
func lockNumber(id string) int {
	return int(crc32.ChecksumIEEE([]byte(id)) % lockCount)
}

// lockAll takes the locks of the IDs, always in the same order, so that two callers
// cannot deadlock. It also returns the RootDir that the locks belong to.
func (b *Backend) lockAll(ctx context.Context, ids []string) (*rootFolder, func(), error) {
	numbers := make([]int, 0, 2)
	for _, id := range ids {
		numbers = append(numbers, lockNumber(id))
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	for {
		root, err := b.root.current()
		if err != nil {
			return nil, nil, err
		}
		held := 0
		unlock := func() {
			for _, n := range slices.Backward(numbers[:held]) {
				b.unlock(n)
			}
		}
		for _, n := range numbers {
			if err = b.lock(ctx, n); err != nil {
				unlock()
				return nil, nil, err
			}
			held++
		}
		if b.root.opened() == root {
			return root, unlock, nil
		}
		unlock() // RootDir was replaced meanwhile.
	}
}

// lock takes one lock, or returns an error when the context has ended. A lock ends with
// its process, even after kill -9.
func (b *Backend) lock(ctx context.Context, n int) error {
	l := &b.locks[n]
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("wait for other requests: %w", ctx.Err())
	}
	for {
		err := b.openLock(n)
		if err == nil {
			err = waitLock(ctx, l.file)
		}
		var same bool
		if err == nil {
			same, err = b.sameLock(n)
		}
		if same {
			return nil
		}
		l.close()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			<-l.turn
			return err
		}
	}
}

func (b *Backend) unlock(n int) {
	l := &b.locks[n]
	if runtime.GOOS == "windows" {
		l.close() // RootDir could not be renamed there.
	} else {
		_ = unlockFile(l.file)
	}
	<-l.turn
	if b.root.closed.Load() {
		b.closeIdle(n)
	}
}

// closeIdle closes a lock file unless it is in use; unlock then closes it.
func (b *Backend) closeIdle(n int) {
	l := &b.locks[n]
	select {
	case l.turn <- struct{}{}:
		l.close()
		<-l.turn
	default:
	}
}

// close unlocks before it closes: a child process that is just starting may hold a copy
// of the handle for a moment.
func (l *lock) close() {
	if l.file != nil {
		_ = unlockFile(l.file)
		_ = l.file.Close()
		l.file = nil
	}
}

// openLock opens a lock file if it is not open.
func (b *Backend) openLock(n int) error {
	l := &b.locks[n]
	if l.file != nil {
		return nil
	}
	root, err := b.root.current()
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s/%02x", lockDir, n)
	l.path = filepath.Join(b.root.path, name)
	l.file, err = root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = root.Mkdir(lockDir, 0o700); err == nil || errors.Is(err, fs.ErrExist) {
			l.file, err = root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		}
	}
	if err == nil {
		l.id, err = l.file.Stat()
	}
	return lockError(err)
}

// waitLock polls instead of waiting in the kernel, where a context cannot interrupt the
// wait: the holder may be a stopped process. The waits are short, since the holder
// usually needs only a fraction of a millisecond, and a busy one leaves only short gaps.
func waitLock(ctx context.Context, f *os.File) error {
	var timer *time.Timer
	for wait := 50 * time.Microsecond; ; wait = min(2*wait, 2*time.Millisecond) {
		got, err := tryLock(f)
		if got || err != nil {
			return lockError(err)
		}
		pause := wait/2 + rand.N(wait)
		if timer == nil {
			timer = time.NewTimer(pause)
			defer timer.Stop()
		} else {
			timer.Reset(pause)
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for other processes: %w", ctx.Err())
		}
	}
}

// sameLock compares the locked file with the one that others find. It also sets the
// file's modification time far ahead, so that the garbage collection of v1.6.6, which
// removes whatever looks old, leaves it alone.
func (b *Backend) sameLock(n int) (bool, error) {
	l := &b.locks[n]
	found, err := os.Lstat(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || !os.SameFile(l.id, found) {
		return false, lockError(err)
	}
	const month = 30 * 24 * time.Hour
	if now := time.Now(); found.ModTime().Before(now.Add(month)) {
		if dir, err := b.root.opened().sub(lockDir); err == nil {
			_ = dir.Chtimes(filepath.Base(l.path), time.Time{}, now.Add(12*month)) // Best effort.
			shut(dir)
		}
	}
	return true, nil
}

func lockError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("a lock file in the folder .locks of FileConfig.RootDir: %w", bare(err))
}
