package testserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// cacheDir is where prepared things are kept for the next test.
func cacheDir() (string, error) {
	// A folder of one's own is for CI, which may keep it from one run to the next.
	dir := os.Getenv("FLAMEGO_SESSION_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no cache folder; set FLAMEGO_SESSION_CACHE: %w", err)
		}
		dir = filepath.Join(user, "flamego-session-testserver")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// lockWithin is how long one test waits for what another prepares.
const lockWithin = 10 * time.Minute

// lockFile locks a file in the cache folder, against other tests on this machine.
// Closing it lets go, and so does the end of the process.
func lockFile(name string) (*os.File, error) {
	dir, err := cacheDir()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, name+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	// Asking again and again, since a call that waits could not be given up.
	for deadline := time.Now().Add(lockWithin); ; time.Sleep(50 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		case time.Now().After(deadline):
			_ = f.Close()
			return nil, fmt.Errorf("another test has held %s for %v", f.Name(), lockWithin)
		}
	}
}

// failed remembers what could not be prepared, so that the tests of one package
// don't try it one after the other.
var failed sync.Map // name to error

// prepared returns the path of something in the cache folder, which make makes if
// it is missing: in the folder of a keeper, whose path it returns. It is moved to
// its place only when it is complete, and tests that want it meanwhile wait.
func prepared(name string, make func(k *keeper) (path string, err error)) (string, error) {
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	// Nearly always it is there, and needs no lock: it appeared as a whole.
	if exists(path) {
		return path, nil
	}
	lock, err := lockFile(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }()
	// Whoever had the lock before has probably made it.
	if exists(path) {
		return path, nil
	}
	if err, ok := failed.Load(name); ok {
		return "", err.(error)
	}
	if err := prepare(dir, path, make); err != nil {
		err = fmt.Errorf("prepare %s: %w", name, err)
		failed.Store(name, err)
		return "", err
	}
	return path, nil
}

// prepare lets make work below a keeper, so that what it runs, and what it has
// written, goes with a test that is killed in the middle. The keeper's folder is in
// the cache folder, as only there a rename is one step.
func prepare(dir, path string, make func(k *keeper) (string, error)) error {
	k, err := newKeeper(dir)
	if err != nil {
		return err
	}
	defer k.close()
	made, err := make(k)
	if err != nil {
		return err
	}
	return os.Rename(made, path)
}

// exists takes a link that leads nowhere for something, too: a new one could not be
// put in its place.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
