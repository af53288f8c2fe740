package filestore

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"sync/atomic"
	"time"

	"github.com/flamego/session/driver"
)

const (
	// letters are the characters of IDs, and therefore of folders.
	letters = "0123456789abcdefghijklmnopqrstuvwxyz"
	folders = len(letters) * len(letters)
	// sweepWait is how long a sweep waits for a lock. What it has to skip is left for the
	// next sweep.
	sweepWait = 100 * time.Millisecond
)

// cursor is the number of the folder where the next sweep begins.
type cursor struct{ atomic.Int64 }

// DeleteExpired implements driver.Backend. It goes through the folders one by one. At the
// limit it stops, and the next call goes on from there. So all calls together walk the
// tree once, and the last one, which finds no more, once again. It touches only session
// files in their places, and temporary files of processes that died.
func (b *Backend) DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error) {
	root, err := b.root.current()
	if err != nil {
		return 0, fail("sweep", err)
	}
	s := &sweep{b: b, now: now, limit: limit}
	s.note(s.folder(ctx, root, ""))
	start := int(b.sweep.Load())
	for i := range folders {
		n := (start + i) % folders
		place := placeOf(n)
		dir, err := openFolder(root, place)
		if err == nil {
			err = s.folder(ctx, dir, place)
			shut(dir)
		}
		if errors.Is(err, errSweepLimit) {
			b.sweep.Store(int64(n))
			break
		}
		s.note(err)
		if ctx.Err() != nil {
			break
		}
	}
	return s.removed, fail("sweep", s.trouble)
}

// placeOf is the prefix of the IDs in the n-th folder.
func placeOf(n int) string {
	return string(letters[n/len(letters)]) + string(letters[n%len(letters)])
}

var errSweepLimit = errors.New("the limit is reached")

// sweep is one call of DeleteExpired.
type sweep struct {
	b       *Backend
	now     time.Time
	limit   int
	removed int
	busy    [lockCount]bool // locks that were waited for in vain
	trouble error           // the first
}

// note keeps an error for the end: one bad file must not keep all others from being
// swept. It is not an error that somebody else removed a file first.
func (s *sweep) note(err error) {
	if s.trouble == nil && !errors.Is(err, driver.ErrNotFound) && !errors.Is(err, fs.ErrNotExist) {
		s.trouble = err
	}
}

// folder sweeps the folder of the IDs that begin with place, or RootDir itself,
// which has no sessions.
func (s *sweep) folder(ctx context.Context, dir folder, place string) error {
	return each(ctx, dir, func(name string) error {
		err := s.file(ctx, dir, place, name)
		if errors.Is(err, errSweepLimit) {
			return err
		}
		s.note(err)
		return nil
	})
}

// each calls do for every name in a folder, until do fails.
func each(ctx context.Context, dir folder, do func(name string) error) error {
	list, err := dir.OpenFile(".", os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer shut(list)
	for {
		names, err := list.Readdirnames(256)
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := do(name); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *sweep) file(ctx context.Context, dir folder, place, name string) error {
	if staleTemp(name, time.Now()) {
		if _, err := sessionFile(dir, name); err != nil {
			return err
		}
		return dir.Remove(name)
	}
	if place == "" || !inPlace(name, place) {
		return nil
	}
	lock := lockNumber(name)
	if expired, err := s.b.expired(dir, name, s.now); err != nil || !expired || s.busy[lock] {
		return err
	}
	if s.removed >= s.limit {
		return errSweepLimit
	}

	// The lock keeps others from sliding the expiry, or storing a newer version, between
	// this check and the removal.
	wait, cancel := context.WithTimeout(ctx, sweepWait)
	defer cancel()
	if err := s.b.lock(wait, lock); err != nil {
		if s.busy[lock] = wait.Err() != nil; s.busy[lock] {
			return ctx.Err()
		}
		return err
	}
	defer s.b.unlock(lock)
	if expired, err := s.b.expired(dir, name, s.now); err != nil || !expired {
		return err
	}
	err := dir.Remove(name)
	if err == nil {
		s.removed++
	}
	return err
}

// inPlace reports whether a file of this name is a session in this place.
func inPlace(name, place string) bool {
	return driver.ValidID(name) && name[:2] == place
}

func (b *Backend) expired(dir folder, name string, now time.Time) (bool, error) {
	fi, err := sessionFile(dir, name)
	if err != nil {
		return false, err
	}
	return !fi.mtime.Add(b.lifetime).After(now), nil
}

// all calls do for the name of each session, until do fails. A folder that cannot be read is
// an error.
func (b *Backend) all(ctx context.Context, do func(dir folder, name string) error) error {
	root, err := b.root.current()
	if err != nil {
		return err
	}
	for i := range folders {
		place := placeOf(i)
		dir, err := openFolder(root, place)
		if errors.Is(err, driver.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		err = each(ctx, dir, func(name string) error {
			if !inPlace(name, place) {
				return nil
			}
			return do(dir, name)
		})
		shut(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // The folder may have gone.
			return err
		}
	}
	return ctx.Err()
}

// Count implements driver.Counter. It looks at the time of each file, and opens none.
func (b *Backend) Count(ctx context.Context, now time.Time) (n int, err error) {
	err = b.all(ctx, func(dir folder, name string) error {
		if driver.OwnID(name) {
			return nil
		}
		expired, err := b.expired(dir, name, now)
		if err == nil && !expired {
			n++
		}
		if errors.Is(err, driver.ErrNotFound) { // It has ended since the folder was read.
			return nil
		}
		return err
	})
	return n, fail("count", err)
}

var errEnough = errors.New("nobody wants more")

// IDs implements driver.Lister.
func (b *Backend) IDs(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := b.all(ctx, func(_ folder, name string) error {
			if !yield(name, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield("", fail("list", err))
		}
	}
}
