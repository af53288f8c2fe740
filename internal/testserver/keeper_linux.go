package testserver

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A keeper is this binary, executed once more. It runs a script in the folder it is
// in, whenever it reads a byte, and everything that comes of that is below itself in
// the tree of processes. When its standard input ends, because the test has ended in
// whatever way, it ends all that and removes the folder.

// keeperEnv makes this binary a keeper; its value is the script.
const keeperEnv = "TESTSERVER_KEEPER"

// A keeper must not reach the tests of the binary it is, nor take their flags.
func init() {
	if script := os.Getenv(keeperEnv); script != "" {
		keep(script)
		os.Exit(0)
	}
}

// tidy removes the shared memory by which a PostgreSQL keeps a second one from its
// data, and which the kernel keeps when it is killed. Its key says whose it is.
const tidy = `
[ ! -e data/postmaster.pid ] || ipcrm -M $(sed -n '7s/^ *\([0-9]*\).*/\1/p' data/postmaster.pid) || true
rm -rf "$PWD"`

func keep(script string) {
	// Children get SIGKILL when this thread ends (PR_SET_PDEATHSIG is bound to the
	// thread), so this must be the one that lasts as long as the process.
	runtime.LockOSThread()
	// Processes whose parent has died become ours: nothing escapes from the tree.
	if unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != nil {
		return
	}
	orders := make(chan bool)
	go func() {
		for b := make([]byte, 1); ; orders <- true {
			if _, err := os.Stdin.Read(b); err != nil {
				break
			}
		}
		close(orders)
		// Properly at first, so that PostgreSQL gives its shared memory back. A paused
		// process hears nothing else. Usually this one does not see the end of the pause.
		_ = signalTree(os.Getpid(), syscall.SIGQUIT)
		_ = signalTree(os.Getpid(), syscall.SIGCONT)
		for time.Sleep(2 * time.Second); ; time.Sleep(time.Millisecond) {
			_ = signalTree(os.Getpid(), syscall.SIGKILL)
		}
	}()
	for range orders {
		_, err := os.StartProcess("/bin/sh", []string{"sh", "-euc", script}, &os.ProcAttr{
			Files: []*os.File{nil, os.Stderr, os.Stderr}, Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
		})
		if err != nil {
			return
		}
		_, _ = os.Stdout.Write([]byte{1})
		for !errors.Is(err, syscall.ECHILD) {
			_, err = syscall.Wait4(-1, nil, 0, nil)
		}
	}
	_ = syscall.Exec("/bin/sh", []string{"sh", "-c", tidy}, os.Environ())
}

// descendants are the processes below one, with their states. A process group would
// not do: every process of PostgreSQL is a group of its own.
func descendants(root int) map[int]byte {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	states, parents := make(map[int]byte), make(map[int]int)
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // It ended meanwhile.
		}
		// "pid (name) state parent …", where the name may hold anything.
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parents[pid], _ = strconv.Atoi(string(fields[1]))
		states[pid] = fields[0][0]
	}
	for pid := range states {
		above := parents[pid]
		for above != root && above != 0 {
			above = parents[above]
		}
		if above != root {
			delete(states, pid)
		}
	}
	return states
}

// signalTree signals all processes below one. Those that are forked meanwhile are
// found in the next round, until a round finds no new one.
func signalTree(root int, sig syscall.Signal) error {
	done := make(map[int]bool)
	for before := -1; len(done) > before; {
		before = len(done)
		for pid, state := range descendants(root) {
			if state == 'Z' || done[pid] {
				continue
			}
			done[pid] = true
			if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
				return err
			}
		}
	}
	return nil
}
