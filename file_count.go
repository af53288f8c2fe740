package session

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

var _ Counter = (*fileBackend)(nil)

// Count implements Counter. It looks at the time of each file, and opens none. A
// folder that cannot be read is an error: the number would be too low.
func (b *fileBackend) Count(ctx context.Context, now time.Time) (int, error) {
	root, err := b.root.current()
	if err != nil {
		return 0, fileError("count", err)
	}
	total := 0
	for i := range fileFolders {
		place := filePlace(i)
		dir, err := fileFolder(root, place)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, fileError("count", err)
		}
		err = fileEach(ctx, dir, func(name string) error {
			if !inPlace(name, place) {
				return nil
			}
			expired, err := b.expired(dir, name, now)
			if err == nil && !expired {
				total++
			}
			if errors.Is(err, ErrNotFound) { // It has ended since the folder was read.
				return nil
			}
			return err
		})
		shut(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // The folder may have gone.
			return 0, fileError("count", err)
		}
	}
	return total, fileError("count", ctx.Err())
}
