package filestore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/flamego/session/driver"
)

// exclusive runs f while nobody else changes the records of the IDs.
func (b *Backend) exclusive(ctx context.Context, op string, ids []string, f func(root *os.Root) error) error {
	if err := check(ctx, ids...); err != nil {
		return fail(op, err)
	}
	root, err := b.root.current()
	if err != nil {
		return fail(op, err)
	}
	unlock, err := b.locks.lockAll(ctx, root, ids)
	if err != nil {
		return fail(op, err)
	}
	defer unlock()
	return fail(op, f(root))
}

// compare returns ErrConflict unless the file holds exactly the bytes of old.
func (b *Backend) compare(dir *os.Root, id string, old []byte) error {
	got, err := b.read(dir, id)
	if errors.Is(err, driver.ErrUnreadable) || err == nil && !bytes.Equal(got.Data, old) {
		return driver.ErrConflict
	}
	return err
}

// check is for whatever a caller other than the library might pass, and for
// the device names of Windows ("nul", "con"), which make valid IDs.
func check(ctx context.Context, ids ...string) error {
	for _, id := range ids {
		if !driver.ValidID(id) || !filepath.IsLocal(id) {
			return driver.ErrNotFound
		}
	}
	return ctx.Err()
}

func missingIsConflict(err error) error {
	if errors.Is(err, driver.ErrNotFound) {
		return driver.ErrConflict
	}
	return err
}
