package filestore

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// Environment variables of child processes.
const (
	childJob   = "SESSION_FILE_JOB"     // one of childJobs
	osRootOnly = "SESSION_FILE_OS_ROOT" // set when openFast is not to be used
)

// TestMain runs the tests a second time, with os.Root, on systems that have
// something faster.
func TestMain(m *testing.M) {
	if os.Getenv(osRootOnly) != "" {
		openFast = nil
	}
	code := m.Run()
	if code == 0 && openFast != nil && os.Getenv(childJob) == "" && flag.Lookup("test.fuzz").Value.String() == "" {
		openFast = nil
		fmt.Println("and now with os.Root:")
		code = m.Run()
	}
	os.Exit(code)
}
