// Package filestore keeps records in files, for session.FileIniter. session.FileConfig
// says what users have to know.
package filestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/flamego/session/driver"
)

// Backend is a driver.Backend.
//
// Readers take no lock: a record is written under a temporary name and renamed, so they
// always open one whole version. Writers hold the lock of the ID against goroutines and
// processes (lock.go), which makes 'compare, then rename' atomic.
//
// All access to RootDir goes through a folder (folder.go): nothing planted there leads
// out of it, and on Windows a file can be replaced while others read it.
type Backend struct {
	lifetime time.Duration
	sync     bool
	root     rootDir
	locks    [lockCount]lock
	sweep    cursor
}

var _ driver.Counter = (*Backend)(nil)

// mostLifetime is the most that is subtracted from an expiry for a file's time. With
// more, the time for a session with a short lifetime of its own would be before 1970, and
// the session would last too long.
const mostLifetime = 40 * 365 * 24 * time.Hour

// Open opens the folder of the sessions, or creates it. The lifetime is FileConfig's; it
// relates expiries to file times. With sync, a write survives a power failure.
func Open(dir string, lifetime time.Duration, sync bool) (*Backend, error) {
	b := &Backend{lifetime: min(lifetime, mostLifetime), sync: sync}
	for i := range b.locks {
		b.locks[i].turn = make(chan struct{}, 1)
	}
	return b, b.open(dir)
}

// Close closes RootDir. Later calls fail.
func (b *Backend) Close() error {
	err := b.root.close()
	for n := range b.locks {
		b.closeIdle(n)
	}
	return fail("close", err)
}

// Load implements driver.Backend.
func (b *Backend) Load(ctx context.Context, id string) (driver.Record, error) {
	if err := check(ctx, id); err != nil {
		return driver.Record{}, fail("load", err)
	}
	root := b.root.opened()
	rec, err := b.load(ctx, root, id)
	if errors.Is(err, driver.ErrNotFound) {
		// Before it counts as missing: does the path still lead to this folder?
		now, rootErr := b.root.current()
		if rootErr != nil {
			return driver.Record{}, fail("load", rootErr)
		}
		if now != root {
			rec, err = b.load(ctx, now, id)
		}
	}
	return rec, fail("load", err)
}

// Create implements driver.Backend.
func (b *Backend) Create(ctx context.Context, id string, r driver.Record) error {
	return b.exclusive(ctx, "create", []string{id}, func(root folder) error {
		dir, err := b.makeFolder(root, id)
		if err != nil {
			return err
		}
		defer shut(dir)
		if err = free(dir, id); err != nil {
			return err
		}
		return b.write(dir, id, r)
	})
}

// Replace implements driver.Backend.
func (b *Backend) Replace(ctx context.Context, id string, old, r driver.Record) error {
	return missingIsConflict(b.exclusive(ctx, "replace", []string{id}, func(root folder) error {
		dir, err := openFolder(root, id)
		if err != nil {
			return err
		}
		defer shut(dir)
		if err = b.compare(dir, id, old.Data); err != nil {
			return err
		}
		return b.write(dir, id, r)
	}))
}

// Move implements driver.Backend. It cannot change two names in one step. A process killed
// between steps 2 and 3 leaves the old session as it was, and the new one under an ID that
// nobody knows; the other way round, the visitor would have neither.
func (b *Backend) Move(ctx context.Context, id, newID string, old, r driver.Record) error {
	return missingIsConflict(b.exclusive(ctx, "move", []string{id, newID}, func(root folder) error {
		// 1. The old record must be what the caller saw.
		from, err := openFolder(root, id)
		if err != nil {
			return err
		}
		defer shut(from)
		if err = b.compare(from, id, old.Data); err != nil {
			return err
		}

		// 2. Write the new one, if its name is free.
		to, err := b.makeFolder(root, newID)
		if err != nil {
			return err
		}
		defer shut(to)
		if err = free(to, newID); err != nil {
			return err
		}
		if err = b.write(to, newID, r); err != nil {
			return err
		}

		// 3. Only one may stay. If the old one is gone by now, something that takes no
		// locks (v1.6.6, an administrator) has ended the session.
		if err = from.Remove(id); err != nil {
			_ = to.Remove(newID)
			if errors.Is(err, fs.ErrNotExist) {
				err = driver.ErrNotFound
			}
			return err
		}
		return b.syncFolder(from)
	}))
}

// Touch implements driver.Backend. It takes the lock too: otherwise a sweep that has just
// found the session expired could remove it after Touch has reported success.
func (b *Backend) Touch(ctx context.Context, id string, old driver.Record, expiry time.Time) error {
	return missingIsConflict(b.exclusive(ctx, "touch", []string{id}, func(root folder) error {
		dir, err := openFolder(root, id)
		if err != nil {
			return err
		}
		defer shut(dir)
		if err = b.compare(dir, id, old.Data); err != nil {
			return err
		}
		return b.setExpiry(dir, id, expiry)
	}))
}

// Delete implements driver.Backend. It leaves anything but a regular file alone, since
// only that holds a record.
func (b *Backend) Delete(ctx context.Context, id string) error {
	err := b.exclusive(ctx, "delete", []string{id}, func(root folder) error {
		dir, err := openFolder(root, id)
		if err != nil {
			return err
		}
		defer shut(dir)
		if _, err = sessionFile(dir, id); err != nil {
			return err
		}
		if err = dir.Remove(id); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return b.syncFolder(dir)
	})
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	return err
}

// exclusive runs f while nobody else changes the records of the IDs.
func (b *Backend) exclusive(ctx context.Context, op string, ids []string, f func(root folder) error) error {
	if err := check(ctx, ids...); err != nil {
		return fail(op, err)
	}
	root, unlock, err := b.lockAll(ctx, ids)
	if err != nil {
		return fail(op, err)
	}
	defer unlock()
	return fail(op, f(root))
}

// compare returns ErrConflict unless the file holds exactly the bytes of old.
func (b *Backend) compare(dir folder, id string, old []byte) error {
	got, err := b.read(dir, id)
	if errors.Is(err, driver.ErrUnreadable) || err == nil && !bytes.Equal(got.Data, old) {
		return driver.ErrConflict
	}
	return err
}

// check rejects what a caller other than the library might pass, and the device names of
// Windows ("nul", "con"), which are valid IDs.
func check(ctx context.Context, ids ...string) error {
	for _, id := range ids {
		if !driver.ValidID(id) || !filepath.IsLocal(id) {
			return driver.ErrNotFound
		}
	}
	return ctx.Err()
}

// sessionFile describes a session file, or returns ErrNotFound if there is nothing, or
// something else.
func sessionFile(dir folder, id string) (info, error) {
	fi, err := dir.stat(id)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.mode.IsRegular() {
		return info{}, driver.ErrNotFound
	}
	return fi, err
}

// free returns ErrExists if anything has the name.
func free(dir folder, id string) error {
	_, err := dir.stat(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		return driver.ErrExists
	}
	return err
}

func missingIsConflict(err error) error {
	if errors.Is(err, driver.ErrNotFound) {
		return driver.ErrConflict
	}
	return err
}

// fail adds the operation to an error. The sentinels that callers check for stay as they
// are.
func fail(op string, err error) error {
	for _, known := range []error{nil, driver.ErrNotFound, driver.ErrExists, driver.ErrConflict} {
		if errors.Is(err, known) {
			return known
		}
	}
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: FileConfig.RootDir and all in it have to belong to the user of this process: chown them", bare(err))
	}
	return fmt.Errorf("file: %s: %w", op, bare(err))
}

// bare removes the path from an error, since it contains the ID.
func bare(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err
	}
	return err
}
