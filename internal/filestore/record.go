package filestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/flamego/session/driver"
)

const (
	// maxSize bounds what is read into memory. Whatever is larger is not a session.
	maxSize = 64 << 20
	// tempPrefix is how temporary names begin. No ID has such characters.
	tempPrefix = ".tmp-"
	// tempAge is the age from which a temporary file must be that of a process that died.
	// Writing takes milliseconds.
	tempAge = time.Hour
	// settles is how long a file system may take to empty a file.
	settles = 50 * time.Millisecond
)

// load reads the record of an ID.
func (b *Backend) load(ctx context.Context, root folder, id string) (driver.Record, error) {
	for first := time.Now(); ; {
		rec, err := b.read(root, folderName(id)+"/"+id)
		if err != nil && !errors.Is(err, driver.ErrNotFound) && notFolder(root, id) {
			err = driver.ErrNotFound
		}
		if err != nil || len(rec.Data) > 0 || !b.Unsettled(rec, first) {
			return rec, err
		}
		select {
		case <-time.After(rand.N(1600 * time.Microsecond)):
		case <-ctx.Done():
			return driver.Record{}, ctx.Err()
		}
	}
}

// Unsettled reports whether v1.6.6 may be writing to a file that could not be decoded at
// first. v1.6.6 empties a file before it fills it, so while servers of both versions run,
// a file may be found empty or incomplete. Its modification time is then the present,
// but only a moment after the content is gone.
func (b *Backend) Unsettled(r driver.Record, first time.Time) bool {
	now := time.Now()
	return now.Sub(first) < settles || now.Sub(r.Expiry.Add(-b.lifetime)).Abs() < time.Second
}

// read returns a record, or ErrNotFound, also for a link, folder, pipe or device of that
// name. A file whose bytes cannot be read costs the visitor that session, like one that
// cannot be decoded.
func (b *Backend) read(dir folder, path string) (driver.Record, error) {
	f, err := dir.open(path)
	if err != nil {
		return driver.Record{}, notOpened(dir, path, err)
	}
	defer shut(f)
	fi, err := f.stat()
	if err = checkFile(fi, err); err != nil {
		return driver.Record{}, err
	}
	data := make([]byte, fi.size)
	n, err := io.ReadFull(f, data)
	// Only v1.6.6 shortens a file while it is being read.
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return driver.Record{}, err
	}
	return driver.Record{Data: data[:n], Expiry: fi.mtime.Add(b.lifetime)}, nil
}

// checkFile returns an error if something cannot be a session file.
func checkFile(fi info, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return driver.ErrNotFound
	case err != nil:
		return err
	case !fi.mode.IsRegular():
		return driver.ErrNotFound
	case fi.size > maxSize:
		return fmt.Errorf("%w: a session file has %d bytes, more than %d", driver.ErrUnreadable, fi.size, maxSize)
	}
	return nil
}

// notOpened explains why a file could not be opened.
func notOpened(dir folder, path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return driver.ErrNotFound
	}
	if bad := checkFile(dir.stat(path)); bad != nil {
		return bad
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: a session file cannot be opened: %w", driver.ErrUnreadable, bare(err))
	}
	return err
}

// write stores a record atomically. The caller holds the lock.
func (b *Backend) write(dir folder, id string, r driver.Record) (err error) {
	if len(r.Data) > maxSize {
		return fmt.Errorf("the session takes %d bytes encoded, and the file store keeps at most %d: store large values elsewhere and their keys in the session", len(r.Data), maxSize)
	}
	temp := tempName(time.Now().Unix(), rand.Uint64())
	f, err := dir.create(temp)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = dir.Remove(temp)
		}
	}()
	_, err = f.Write(r.Data)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	// Not earlier: some systems set the time again when a written file is closed.
	if err = b.setExpiry(dir, temp, r.Expiry); err != nil {
		return err
	}
	if b.sync {
		if err = flush(dir, temp, os.O_RDWR); err != nil {
			return err
		}
	}
	if err = dir.Rename(temp, id); err != nil {
		return err
	}
	return b.syncFolder(dir)
}

// syncFolder writes the names in a folder to the disk, if Sync is on. Windows has no such
// call.
func (b *Backend) syncFolder(dir folder) error {
	if !b.sync || runtime.GOOS == "windows" {
		return nil
	}
	return flush(dir, ".", os.O_RDONLY)
}

func flush(dir folder, name string, flag int) error {
	f, err := dir.OpenFile(name, flag, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// The times of modification that every system can write. Later ones would wrap
// around on the way to the disk, and so would earlier ones.
var (
	firstTime = time.Unix(1, 0)
	lastTime  = func() time.Time {
		if strconv.IntSize == 32 { // Their system calls take 32 bits of seconds.
			return time.Unix(1<<31-1, 0)
		}
		return time.Unix(1<<33, 0) // The year 2242.
	}()
)

// setExpiry writes the expiry as v1.6.6 reads it.
func (b *Backend) setExpiry(dir folder, name string, expiry time.Time) error {
	mtime := expiry.Add(-b.lifetime)
	switch {
	case mtime.Before(firstTime):
		mtime = firstTime
	case mtime.After(lastTime):
		mtime = lastTime
	}
	return dir.Chtimes(name, time.Time{}, mtime)
}

// tempName contains its creation time, since the file's own time is the session's.
func tempName(unix int64, random uint64) string {
	return tempPrefix + strconv.FormatInt(unix, 36) + "-" + strconv.FormatUint(random, 36)
}

// staleTemp reports whether the name is an old one of tempName.
func staleTemp(name string, now time.Time) bool {
	rest, ok := strings.CutPrefix(name, tempPrefix)
	made, random, dash := strings.Cut(rest, "-")
	if !ok || !dash {
		return false
	}
	unix, err := strconv.ParseInt(made, 36, 64)
	if err != nil {
		return false
	}
	r, err := strconv.ParseUint(random, 36, 64)
	if err != nil || tempName(unix, r) != name {
		return false
	}
	return now.Sub(time.Unix(unix, 0)) > tempAge
}
