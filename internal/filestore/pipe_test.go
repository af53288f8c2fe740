//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package filestore

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
)

// hostilePipes are pipes, which block whoever opens them without care.
func hostilePipes(
	must func(*testing.T, error),
	instead func(int, func(t *testing.T, path, outside string)) func(*testing.T, string, string, string),
) []hostile {
	pipe := func(t *testing.T, path, _ string) { must(t, syscall.Mkfifo(path, 0o600)) }
	return []hostile{
		{Name: "pipe", Load: "missing", Make: instead(0, pipe)},
		{Name: "pipe as folder", Load: "missing", Folder: true, Make: instead(1, pipe)},
		{Name: "pipe as upper folder", Load: "missing", Folder: true, Make: instead(2, pipe)},
		{Name: "socket", Load: "missing", Make: func(t *testing.T, path, _, _ string) {
			t.Chdir(filepath.Dir(path)) // Such paths must be short.
			l, err := net.Listen("unix", filepath.Base(path))
			must(t, err)
			t.Cleanup(func() { _ = l.Close() })
		}},
	}
}
