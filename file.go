package session

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"time"
)

// fileBackend keeps records in files.
//
// Readers take no lock: a record is written under a temporary name and renamed,
// so that whatever they open is one whole version. Whoever changes a record
// holds the lock of its ID against goroutines and processes (file_lock.go),
// which makes 'compare, then rename' one step.
//
// Everything goes through os.Root: nothing that is planted in RootDir leads out
// of it, and on Windows a file can be replaced while others read it.
type fileBackend struct {
	lifetime time.Duration
	sync     bool
	root     fileRoot
	locks    fileLocks
	sweep    fileCursor
}

func newFileBackend(cfg FileConfig) (*fileBackend, error) {
	b := &fileBackend{lifetime: min(defaultLifetime(cfg.Lifetime), fileMostLifetime), sync: cfg.Sync}
	b.locks.init()
	return b, b.open(cmp.Or(cfg.RootDir, "sessions"))
}

// Close lets go of RootDir. Later calls fail.
func (b *fileBackend) Close() error {
	return fileError("close", b.root.close())
}

func (b *fileBackend) Load(ctx context.Context, id string) (Record, error) {
	if err := fileCheck(ctx, id); err != nil {
		return Record{}, fileError("load", err)
	}
	root := b.root.opened()
	rec, err := b.load(ctx, root, id)
	if errors.Is(err, ErrNotFound) {
		// Before it is called missing: is this still the folder that the path names?
		now, rootErr := b.root.current()
		if rootErr != nil {
			return Record{}, fileError("load", rootErr)
		}
		if now != root {
			rec, err = b.load(ctx, now, id)
		}
	}
	return rec, fileError("load", err)
}

func (b *fileBackend) Create(ctx context.Context, id string, r Record) error {
	return b.exclusive(ctx, "create", []string{id}, func(root *os.Root) error {
		dir, err := b.makeFolder(root, id)
		if err != nil {
			return err
		}
		defer shut(dir)
		if err = fileFree(dir, id); err != nil {
			return err
		}
		return b.write(dir, id, r)
	})
}

func (b *fileBackend) Replace(ctx context.Context, id string, old, r Record) error {
	return missingIsConflict(b.exclusive(ctx, "replace", []string{id}, func(root *os.Root) error {
		dir, err := fileFolder(root, id)
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

// Move cannot put two names into one step. A process killed between 2 and 3
// leaves the old session as it was, and the new one under an ID that nobody was
// told; the other way round, the visitor would have neither.
func (b *fileBackend) Move(ctx context.Context, id, newID string, old, r Record) error {
	return missingIsConflict(b.exclusive(ctx, "move", []string{id, newID}, func(root *os.Root) error {
		// 1. The old record must be what the caller saw.
		from, err := fileFolder(root, id)
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
		if err = fileFree(to, newID); err != nil {
			return err
		}
		if err = b.write(to, newID, r); err != nil {
			return err
		}

		// 3. Only one may stay. If the old one is gone by now, somebody who takes no
		// locks (v1.6.6, an administrator) ended the session.
		if err = from.Remove(id); err != nil {
			_ = to.Remove(newID)
			if errors.Is(err, fs.ErrNotExist) {
				err = ErrNotFound
			}
			return err
		}
		return b.syncFolder(from, ".")
	}))
}

// Touch takes the lock as well, or a sweep that has just found the session
// expired could remove it after Touch has reported success.
func (b *fileBackend) Touch(ctx context.Context, id string, old Record, expiry time.Time) error {
	return missingIsConflict(b.exclusive(ctx, "touch", []string{id}, func(root *os.Root) error {
		dir, err := fileFolder(root, id)
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

// Delete leaves alone what is not a regular file, since that holds no record.
func (b *fileBackend) Delete(ctx context.Context, id string) error {
	err := b.exclusive(ctx, "delete", []string{id}, func(root *os.Root) error {
		dir, err := fileFolder(root, id)
		if err != nil {
			return err
		}
		defer shut(dir)
		if _, err = fileStat(dir, id); err != nil {
			return err
		}
		if err = dir.Remove(id); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return b.syncFolder(dir, ".")
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
