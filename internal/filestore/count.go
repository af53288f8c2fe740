package filestore

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/flamego/session/driver"
)

// Count implements driver.Counter. It looks at the time of each file, and opens
// none. A folder that cannot be read is an error: the number would be too low.
func (b *Backend) Count(ctx context.Context, now time.Time) (int, error) {
	root, err := b.root.current()
	if err != nil {
		return 0, fail("count", err)
	}
	total := 0
	for i := range folders {
		place := placeOf(i)
		dir, err := openFolder(root, place)
		if errors.Is(err, driver.ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, fail("count", err)
		}
		err = each(ctx, dir, func(name string) error {
			if !inPlace(name, place) {
				return nil
			}
			expired, err := b.expired(dir, name, now)
			if err == nil && !expired {
				total++
			}
			if errors.Is(err, driver.ErrNotFound) { // It has ended since the folder was read.
				return nil
			}
			return err
		})
		shut(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // The folder may have gone.
			return 0, fail("count", err)
		}
	}
	return total, fail("count", ctx.Err())
}
