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

	"github.com/flamego/session/internal/private"
)

// openFast opens RootDir as a folder that takes fewer system calls than os.Root, on
// systems that have one. If it fails, os.Root is used.
var openFast func(path string) (folder, error)

// rootFolder is RootDir, open.
type rootFolder struct {
	folder
	id fs.FileInfo // for os.SameFile
}

// rootDir keeps RootDir open. It opens it again if the path leads to another folder, so
// that a server recovers when somebody has removed or replaced the folder, and uses the
// same files as the other servers.
type rootDir struct {
	path   string // absolute
	handle atomic.Pointer[rootFolder]
	closed atomic.Bool
	mu     sync.Mutex // for changing the handle
}

// opened returns the folder without checking the path.
func (r *rootDir) opened() *rootFolder { return r.handle.Load() }

// current returns the folder under the path, and creates it if there is none.
func (r *rootDir) current() (*rootFolder, error) {
	if now, err := r.look(); now != nil || err != nil {
		return now, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now, err := r.look(); now != nil || err != nil {
		return now, err
	}
	now, err := openRoot(r.path)
	if err == nil {
		err = private.Check(r.path) // Somebody else may have made it first.
	}
	if err != nil {
		return nil, err
	}
	// The garbage collector closes the old one, since others may be using it.
	r.handle.Store(now)
	return now, nil
}

// look returns the open folder if the path still leads to it, otherwise nil.
func (r *rootDir) look() (*rootFolder, error) {
	now := r.handle.Load()
	if r.closed.Load() {
		return nil, fs.ErrClosed
	}
	if now == nil {
		return nil, nil
	}
	found, err := os.Stat(r.path)
	if err == nil && os.SameFile(now.id, found) {
		return now, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return nil, err
}

func (r *rootDir) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed.Store(true)
	return r.handle.Load().Close()
}

func openRoot(path string) (*rootFolder, error) {
	// It fails on a pipe, which would block the open.
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	var dir folder
	err := errors.ErrUnsupported
	if openFast != nil {
		dir, err = openFast(path)
	}
	if err != nil {
		r, err := os.OpenRoot(path)
		if err != nil {
			return nil, err
		}
		dir = osRoot{r}
	}
	f, err := dir.OpenFile(".", os.O_RDONLY, 0)
	if err != nil {
		shut(dir)
		return nil, err
	}
	defer shut(f)
	id, err := f.Stat()
	return &rootFolder{dir, id}, err
}

// checkOwners looks at the folders in RootDir, and at the locks: what another user has left,
// such as root in a single run, would fail the requests of the visitors it concerns. It does
// not look at each session.
func (b *Backend) checkOwners() error {
	for _, pattern := range []string{lockDir, lockDir + "/*", "[0-9a-z]", "[0-9a-z]/[0-9a-z]"} {
		names, _ := fs.Glob(os.DirFS(b.root.path), pattern) // Only a bad pattern is an error.
		for _, name := range names {
			if err := private.Check(filepath.Join(b.root.path, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// open checks at start that RootDir can be used.
func (b *Backend) open(path string) error {
	abs, err := filepath.Abs(path)
	if err == nil {
		b.root.path = abs
		if err := b.checkOwners(); err != nil {
			return fmt.Errorf("FileConfig.RootDir: %w", err)
		}
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
	f, err := root.create(temp)
	if err != nil {
		return err
	}
	if err = errors.Join(f.Close(), root.Remove(temp)); err != nil {
		return err
	}
	// Another process may have the lock at the moment.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err = b.lock(ctx, 0)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	if err == nil {
		b.unlock(0)
	}
	return err
}
