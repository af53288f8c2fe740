//go:build !linux

package filestore

import (
	"os"
	"testing"
)

func likeAnybody(t *testing.T, _ string) {
	t.Helper()
	if os.Getuid() <= 0 {
		t.Skip("the mode of a folder stops neither root nor Windows")
	}
}
