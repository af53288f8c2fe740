package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flamego/session/driver"
)

// rootDir is RootDir, kept open. It is opened anew when the path leads to
// another folder, so that a server survives that somebody removed or exchanged
// it, and goes on using the same files as its fellows.
type rootDir struct {
	path   string // absolute
	handle atomic.Pointer[os.Root]
	mu     sync.Mutex // for changing the handle
}

// opened returns the folder without a look at the path.
func (r *rootDir) opened() *os.Root { return r.handle.Load() }

// current returns the folder under the path, and makes it if there is none.
func (r *rootDir) current() (*os.Root, error) {
	root := r.handle.Load()
	if same, err := r.leadsTo(root); same || err != nil {
		return root, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	root = r.handle.Load()
	if same, err := r.leadsTo(root); same || err != nil {
		return root, err
	}
	root, err := openRoot(r.path)
	if err != nil {
		return nil, err
	}
	// The former one is not closed, since others may be using it: that happens
	// when the last of them has let it go.
	r.handle.Store(root)
	return root, nil
}

// leadsTo tells whether the path leads to the folder. It fails when the folder
// has been closed.
func (r *rootDir) leadsTo(root *os.Root) (bool, error) {
	if root == nil {
		return false, nil
	}
	have, err := root.Stat(".")
	if err != nil {
		return false, err
	}
	want, err := os.Stat(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(have, want), err
}

func (r *rootDir) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.handle.Load().Close()
}

// openRoot looks before it opens: a pipe in this place would block.
func openRoot(path string) (*os.Root, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	return os.OpenRoot(path)
}

// open makes sure, at start, that RootDir is fit for use.
func (b *Backend) open(path string) error {
	abs, err := filepath.Abs(path)
	if err == nil {
		b.root.path = abs
		err = b.try()
	}
	if err != nil {
		return fmt.Errorf("FileConfig.RootDir %q cannot be used: %w: name a folder that this process may create, read and write", path, bare(err))
	}
	return nil
}

// try writes a file and takes a lock.
func (b *Backend) try() error {
	root, err := b.root.current()
	if err != nil {
		return err
	}
	temp := tempName(time.Now().Unix(), rand.Uint64())
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err = errors.Join(f.Close(), root.Remove(temp)); err != nil {
		return err
	}
	// That another process has the lock at the moment is all right.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	unlock, err := b.locks.lock(ctx, root, 0)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	if err == nil {
		unlock()
	}
	return err
}

// openFolder opens the folder of an ID, or returns ErrNotFound. The dot at the
// end of the path keeps it from blocking on a pipe.
func openFolder(root *os.Root, id string) (*os.Root, error) {
	dir, err := root.OpenRoot(folderName(id) + "/.")
	if err == nil {
		return dir, nil
	}
	if errors.Is(err, fs.ErrNotExist) || notFolder(root, id) {
		return nil, driver.ErrNotFound
	}
	return nil, err
}

// makeFolder is openFolder for those who put something into it.
func (b *Backend) makeFolder(root *os.Root, id string) (*os.Root, error) {
	dir, err := openFolder(root, id)
	if !errors.Is(err, driver.ErrNotFound) {
		return dir, err
	}
	if notFolder(root, id) {
		return nil, errors.New("something in FileConfig.RootDir is not a folder and stands where a folder of sessions belongs: remove it")
	}
	if err = root.MkdirAll(folderName(id), 0o700); err != nil {
		return nil, err
	}
	for _, parent := range []string{".", id[:1]} {
		if err = b.syncFolder(root, parent); err != nil {
			return nil, err
		}
	}
	return root.OpenRoot(folderName(id) + "/.")
}

func folderName(id string) string {
	return id[:1] + "/" + id[1:2]
}

// notFolder tells whether something else is in the place of an ID's folders.
func notFolder(root *os.Root, id string) bool {
	for _, name := range []string{id[:1], folderName(id)} {
		if fi, err := root.Lstat(name); err == nil && !fi.IsDir() {
			return true
		}
	}
	return false
}
