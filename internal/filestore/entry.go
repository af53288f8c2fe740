package filestore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/flamego/session/driver"
)

// stat returns what is known of a session file, or ErrNotFound if there is
// nothing, or something else.
func stat(dir *os.Root, id string) (fs.FileInfo, error) {
	fi, err := dir.Lstat(id)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.Mode().IsRegular() {
		return nil, driver.ErrNotFound
	}
	return fi, err
}

// free returns ErrExists if anything at all has the name.
func free(dir *os.Root, id string) error {
	_, err := dir.Lstat(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		return driver.ErrExists
	}
	return err
}

// syncFile brings the content of a file to the disk, if that is wanted.
func (b *Backend) syncFile(dir *os.Root, name string) error {
	if !b.sync {
		return nil
	}
	return flush(dir, name, os.O_RDWR)
}

// syncFolder brings the names in a folder to the disk, if that is wanted.
// Windows has no such call.
func (b *Backend) syncFolder(dir *os.Root, name string) error {
	if !b.sync || runtime.GOOS == "windows" {
		return nil
	}
	return flush(dir, name, os.O_RDONLY)
}

func flush(dir *os.Root, name string, flag int) error {
	f, err := dir.OpenFile(name, flag, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// fail names what could not be done. The conditions that callers look for
// stay as they are.
func fail(op string, err error) error {
	for _, known := range []error{nil, driver.ErrNotFound, driver.ErrExists, driver.ErrConflict} {
		if errors.Is(err, known) {
			return known
		}
	}
	return fmt.Errorf("file: %s: %w", op, bare(err))
}

// shut closes what has only been read, so that there is nothing to lose.
func shut(c io.Closer) { _ = c.Close() }

// bare takes the path off an error, for it has the ID in it.
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
