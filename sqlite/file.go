package sqlite

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"strings"

	"github.com/flamego/session/internal/private"
)

// file is the file of a database. Somebody may remove it, or put another in its place, while
// it is open. SQLite would go on in a file that nobody else can see, and that is gone when the
// last process closes it.
type file struct {
	path string // "" if there is none, or none can be removed
	is   os.FileInfo
}

// find finds out which file the connections have open. The files of all databases hold
// session IDs, and so do those of their write-ahead logs: others must not get at them.
func (p *conns) find(ctx context.Context) (file, error) {
	var f file
	if runtime.GOOS == "windows" { // It keeps files that are open.
		return f, nil
	}
	err := p.Statement("PRAGMA database_list").Each(ctx, nil, func(scan func(...any) error) error {
		var n int
		var name, path string
		err := scan(&n, &name, &path)
		if name == "main" {
			f.path = path
		}
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err == nil && path != "" {
				err = private.Check(path + suffix)
			}
		}
		return err
	})
	if err == nil && f.path != "" {
		f.is, err = os.Stat(f.path)
	}
	return f, err
}

// check returns an error if the file is no longer where it was.
func (f *file) check() error {
	if f.path == "" {
		return nil
	}
	now, err := os.Stat(f.path)
	if err == nil && !os.SameFile(now, f.is) {
		err = fmt.Errorf("%s is another file now", f.path)
	}
	if err != nil {
		return fmt.Errorf("the database file was removed or replaced while it was open: put it back, or restart the server: %w", err)
	}
	return nil
}

// create makes a database file that only this user can read, since SQLite itself would
// leave that to the umask. Where the DSN says how to open it, the application decides.
func create(dsn string) {
	path, params, _ := strings.Cut(dsn, "?")
	if strings.Contains(params, "mode=") || strings.HasPrefix(path, ":memory:") {
		return
	}
	if uri, ok := strings.CutPrefix(path, "file:"); ok {
		var err error
		if path, err = url.PathUnescape(uri); err != nil {
			return
		}
		if rest, ok := strings.CutPrefix(path, "//"); ok { // An authority, which is empty or localhost.
			path = "/" + strings.TrimPrefix(strings.TrimPrefix(rest, "localhost"), "/")
		}
	}
	if path == "" || path == ":memory:" {
		return
	}
	if f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil { // Otherwise opening it says why.
		_ = f.Close()
	}
}
