package session

import (
	"bytes"
	"context"
	"errors"
	"os"
)

// exclusive runs f while nobody else changes the records of the IDs.
func (b *fileBackend) exclusive(ctx context.Context, op string, ids []string, f func(root *os.Root) error) error {
	if err := fileCheck(ctx, ids...); err != nil {
		return fileError(op, err)
	}
	root, err := b.root.current()
	if err != nil {
		return fileError(op, err)
	}
	unlock, err := b.locks.lockAll(ctx, root, ids)
	if err != nil {
		return fileError(op, err)
	}
	defer unlock()
	return fileError(op, f(root))
}

// compare returns ErrConflict unless the file holds exactly the bytes of old.
func (b *fileBackend) compare(dir *os.Root, id string, old []byte) error {
	got, err := b.read(dir, id)
	if isDecodeError(err) || err == nil && !bytes.Equal(got.Data, old) {
		return ErrConflict
	}
	return err
}

func missingIsConflict(err error) error {
	if errors.Is(err, ErrNotFound) {
		return ErrConflict
	}
	return err
}
