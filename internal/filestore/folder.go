package filestore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/flamego/session/driver"
)

// folder is an open folder: RootDir, or one in it. No path leads out of it, and opening a
// file never blocks. There are two implementations: osRoot, for any system, and
// linuxFolder, which takes far fewer system calls.
type folder interface {
	// sub opens a folder in it.
	sub(path string) (folder, error)
	// open opens a file for reading, which may not be a regular file.
	open(path string) (file, error)
	// create opens a new file for writing, of mode 0600.
	create(name string) (file, error)
	// stat describes a link, not its target.
	stat(path string) (info, error)

	// The rest are methods of os.Root. All but OpenFile take a name without slashes.
	OpenFile(path string, flag int, perm fs.FileMode) (*os.File, error)
	Mkdir(name string, perm fs.FileMode) error
	Rename(from, to string) error
	Remove(name string) error
	Chtimes(name string, atime, mtime time.Time) error
	io.Closer
}

type file interface {
	io.ReadWriteCloser
	stat() (info, error)
}

// info is the part of fs.FileInfo that matters here.
type info struct {
	mode  fs.FileMode // the type alone
	size  int64
	mtime time.Time
}

// osRoot is a folder on any system.
type osRoot struct{ *os.Root }

func (r osRoot) sub(path string) (folder, error) {
	// The dot keeps it from blocking on a pipe.
	dir, err := r.OpenRoot(path + "/.")
	if err != nil {
		return nil, err
	}
	return osRoot{dir}, nil
}

func (r osRoot) open(path string) (file, error) {
	// It would follow a link that stays inside, and does not open a huge file on
	// systems of 32 bits.
	if err := checkFile(r.stat(path)); err != nil {
		return nil, err
	}
	f, err := r.OpenFile(path, os.O_RDONLY|openFlags, 0)
	return osFile{f}, err
}

func (r osRoot) create(name string) (file, error) {
	f, err := r.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	return osFile{f}, err
}

func (r osRoot) stat(path string) (info, error) { return infoOf(r.Lstat(path)) }

type osFile struct{ *os.File }

func (f osFile) stat() (info, error) { return infoOf(f.Stat()) }

func infoOf(fi fs.FileInfo, err error) (info, error) {
	if err != nil {
		return info{}, err
	}
	return info{mode: fi.Mode().Type(), size: fi.Size(), mtime: fi.ModTime()}, nil
}

// openFolder opens the folder of an ID, or returns ErrNotFound.
func openFolder(root folder, id string) (folder, error) {
	dir, err := root.sub(folderName(id))
	if err == nil {
		return dir, nil
	}
	if errors.Is(err, fs.ErrNotExist) || notFolder(root, id) {
		return nil, driver.ErrNotFound
	}
	return nil, err
}

// makeFolder is openFolder, but creates the folder.
func (b *Backend) makeFolder(root folder, id string) (folder, error) {
	dir, err := openFolder(root, id)
	if !errors.Is(err, driver.ErrNotFound) {
		return dir, err
	}
	if notFolder(root, id) {
		return nil, errors.New("something in FileConfig.RootDir is not a folder and stands where a folder of sessions belongs: remove it")
	}
	upper, err := b.makeSub(root, id[:1])
	if err != nil {
		return nil, err
	}
	defer shut(upper)
	return b.makeSub(upper, id[1:2])
}

func (b *Backend) makeSub(dir folder, name string) (folder, error) {
	if err := dir.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := b.syncFolder(dir); err != nil {
		return nil, err
	}
	return dir.sub(name)
}

func folderName(id string) string {
	return id[:1] + "/" + id[1:2]
}

// notFolder reports whether something other than a folder is where an ID's folders belong.
func notFolder(root folder, id string) bool {
	for _, path := range []string{id[:1], folderName(id)} {
		if fi, err := root.stat(path); err == nil && !fi.mode.IsDir() {
			return true
		}
	}
	return false
}

// shut closes what has only been read, so its error does not matter.
func shut(c io.Closer) { _ = c.Close() }
