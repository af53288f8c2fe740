//go:build unix

package private

import (
	"io/fs"
	"os"
	"syscall"
)

const hasOwners = true

// owner returns whose file it is, and as whom this process runs.
func owner(fi fs.FileInfo) (uid, own int, ok bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(st.Uid), os.Geteuid(), true
}
