package filestore

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

const (
	// lockCount is the number of lock files. It is known to every process that
	// shares a RootDir, as is the way from an ID to its lock: neither may change.
	lockCount = 256
	lockDir   = ".locks"
)

// locks are the locks of this process: one for each lock file, in front of
// it, so that of many goroutines that want a file one alone asks the system.
type locks [lockCount]chan struct{}

func (l *locks) init() {
	for i := range l {
		l[i] = make(chan struct{}, 1)
	}
}

// number is that of an ID's lock.
func (l *locks) number(id string) int {
	return int(crc32.ChecksumIEEE([]byte(id)) % lockCount)
}

// lockAll takes the locks of the IDs, always in the same order, so that no two
// wait for each other.
func (l *locks) lockAll(ctx context.Context, root *os.Root, ids []string) (unlock func(), err error) {
	numbers := make([]int, 0, 2)
	for _, id := range ids {
		numbers = append(numbers, l.number(id))
	}
	slices.Sort(numbers)
	held := make([]func(), 0, 2)
	unlock = func() {
		for _, release := range slices.Backward(held) {
			release()
		}
	}
	for _, n := range slices.Compact(numbers) {
		release, err := l.lock(ctx, root, n)
		if err != nil {
			unlock()
			return nil, err
		}
		held = append(held, release)
	}
	return unlock, nil
}

// lock takes one lock, or returns an error when the context has ended. A lock
// ends with its process, however that ends.
func (l *locks) lock(ctx context.Context, root *os.Root, n int) (unlock func(), err error) {
	select {
	case l[n] <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for other requests: %w", ctx.Err())
	}
	f, err := lockFile(ctx, root, n)
	if err != nil {
		<-l[n]
		return nil, err
	}
	return func() {
		closeLock(f)
		<-l[n]
	}, nil
}

// lockFile takes a lock against other processes.
func lockFile(ctx context.Context, root *os.Root, n int) (*os.File, error) {
	name := fmt.Sprintf("%s/%02x", lockDir, n)
	for {
		f, err := openLock(root, name)
		if err != nil {
			return nil, err
		}
		if err = waitLock(ctx, f); err == nil {
			// Is it still the file that others find? The collector of v1.6.6 removes
			// whatever looks old.
			var same bool
			if same, err = sameLock(root, name, f); same {
				return f, nil
			}
		}
		closeLock(f)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
	}
}

// closeLock does not leave the unlocking to the closing: a child process that is
// just being started may hold a copy of the handle for a moment.
func closeLock(f *os.File) {
	_ = unlockFile(f)
	_ = f.Close()
}

func openLock(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = root.Mkdir(lockDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, lockError(err)
		}
		f, err = root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	}
	return f, lockError(err)
}

// waitLock asks again and again instead of waiting in the kernel, from which no
// context gets a goroutine back: the holder may be a stopped process. The waits
// stay short, for the holder is usually through in a fraction of a millisecond,
// and a busy one leaves gaps that must be hit.
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

// sameLock compares the locked file with the one under its name, and gives it a
// time of modification far ahead, for which v1.6.6 leaves it alone.
func sameLock(root *os.Root, name string, f *os.File) (bool, error) {
	have, err := f.Stat()
	if err != nil {
		return false, lockError(err)
	}
	want, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || !os.SameFile(have, want) {
		return false, lockError(err)
	}
	const month = 30 * 24 * time.Hour
	if now := time.Now(); have.ModTime().Before(now.Add(month)) {
		_ = root.Chtimes(name, time.Time{}, now.Add(12*month)) // It is a mere help.
	}
	return true, nil
}

func lockError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("a lock file in the folder .locks of FileConfig.RootDir: %w", bare(err))
}
