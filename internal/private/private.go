// Package private checks that nobody but this process's user can read or write what a store
// keeps in the file system.
package private

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Check returns an error that says what to do if the file or folder belongs to another user,
// or is open to others: in a store of files the names are session IDs, and so are the keys in
// a database. What is missing is nobody's. Below a folder that nobody else can enter, only
// what everybody may write to is refused.
func Check(path string) error {
	if fi, err := os.Lstat(path); err == nil { // Otherwise its use says what is wrong.
		return check(path, fi)
	}
	return nil
}

func check(path string, fi fs.FileInfo) error {
	if uid, own, ok := owner(fi); ok && uid != own {
		return fmt.Errorf("%q belongs to user %d, and this process runs as user %d: run `chown -R %d %s`, or choose another place", path, uid, own, own, path)
	}
	const others, everybodyWrites = 0o077, 0o002
	switch mode := fi.Mode(); {
	case !hasOwners, mode&fs.ModeSymlink != 0, mode.Perm()&others == 0, mode.Perm()&everybodyWrites == 0 && !reachable(path):
		return nil
	}
	return fmt.Errorf("%q is open to other users (%s), and session IDs are as good as passwords: run `chmod go= %s`", path, fi.Mode(), path)
}

// reachable reports whether other users can get as far as the folder that the path is in.
func reachable(path string) bool {
	dir, err := filepath.Abs(path)
	if err == nil {
		dir, err = filepath.EvalSymlinks(filepath.Dir(dir))
	}
	if err != nil {
		return true
	}
	const enter = 0o011
	for {
		fi, err := os.Stat(dir)
		if err == nil && fi.Mode().Perm()&enter == 0 {
			return false
		}
		up := filepath.Dir(dir)
		if up == dir {
			return true
		}
		dir = up
	}
}
