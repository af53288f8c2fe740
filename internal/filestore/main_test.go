package filestore

import (
	"fmt"
	"os"
	"testing"
)

// osRootOnly is set for a child process that is to do without openFast.
const osRootOnly = "SESSION_FILE_OS_ROOT"

// TestMain runs all tests once more with os.Root, on systems that have something
// faster.
func TestMain(m *testing.M) {
	if os.Getenv(osRootOnly) != "" {
		openFast = nil
	}
	code := m.Run()
	if openFast != nil && os.Getenv("SESSION_FILE_JOB") == "" && code == 0 {
		openFast = nil
		fmt.Println("once more, with os.Root")
		code = m.Run()
	}
	os.Exit(code)
}
