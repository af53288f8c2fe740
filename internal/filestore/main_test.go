package filestore

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

// Environment variables of child processes.
const (
	childJob   = "SESSION_FILE_JOB" // one of childJobs
	childDir   = "SESSION_FILE_DIR"
	osRootOnly = "SESSION_FILE_OS_ROOT" // set when openFast is not to be used
)

// childJobs run in a process of their own.
var childJobs map[string]func(ctx context.Context, b *Backend) error

// TestMain runs the tests a second time, with os.Root, on systems that have
// something faster.
func TestMain(m *testing.M) {
	if os.Getenv(osRootOnly) != "" {
		openFast = nil
	}
	if job := childJobs[os.Getenv(childJob)]; job != nil {
		os.Exit(work(job))
	}
	code := m.Run()
	if code == 0 && openFast != nil && flag.Lookup("test.fuzz").Value.String() == "" {
		openFast = nil
		fmt.Println("and now with os.Root:")
		code = m.Run()
	}
	os.Exit(code)
}

func work(job func(ctx context.Context, b *Backend) error) int {
	b, err := Open(os.Getenv(childDir), time.Hour, false)
	if err == nil {
		err = job(context.Background(), b)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
