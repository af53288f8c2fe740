package sqlite

import (
	"context"
	"net/url"
	"os"
	"strings"

	"github.com/flamego/session/internal/private"
)

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

// checkFiles looks at the database's file, and at those of its write-ahead log, which hold
// the same keys.
func checkFiles(ctx context.Context, c *conns) error {
	var paths []string
	err := c.Statement("SELECT file FROM pragma_database_list WHERE file <> ''").Each(ctx, nil, func(scan func(...any) error) error {
		var path string
		defer func() { paths = append(paths, path) }()
		return scan(&path)
	})
	if err != nil {
		return err
	}
	for _, path := range paths {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := private.Check(path + suffix); err != nil {
				return err
			}
		}
	}
	return nil
}
