//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package session

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
		{name: "pipe", load: "missing", make: instead(0, pipe)},
		{name: "pipe as folder", load: "missing", folder: true, make: instead(1, pipe)},
		{name: "pipe as upper folder", load: "missing", folder: true, make: instead(2, pipe)},
		{name: "socket", load: "missing", make: func(t *testing.T, path, _, _ string) {
			t.Chdir(filepath.Dir(path)) // Such paths must be short.
			l, err := net.Listen("unix", filepath.Base(path))
			must(t, err)
			t.Cleanup(func() { _ = l.Close() })
		}},
	}
}
