package testserver

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a line of /proc.
type process struct {
	pid, parent int
	state       byte // R, S, D, T stopped, Z dead and not waited for
}

// descendants are the processes below one. A process group would not do: every
// process of PostgreSQL is a group of its own.
func descendants(root int) ([]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	byParent := make(map[int][]process)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// One line has all that is needed here; /proc/*/task/*/children would be
		// shorter to read, but not every kernel has it.
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // It ended meanwhile.
		}
		// "pid (name) state parent …", where the name may hold anything.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 2 {
			continue
		}
		parent, err := strconv.Atoi(string(fields[1]))
		if err != nil {
			continue
		}
		byParent[parent] = append(byParent[parent], process{pid, parent, fields[0][0]})
	}
	var found []process
	for todo := []int{root}; len(todo) > 0; todo = todo[1:] {
		for _, p := range byParent[todo[0]] {
			todo = append(todo, p.pid)
			found = append(found, p)
		}
	}
	return found, nil
}

// signalTree signals every descendant. Those that are forked meanwhile are found
// in the next round, until a round finds no new one.
func signalTree(sig syscall.Signal) error {
	var done []int
	for {
		list, err := descendants(os.Getpid())
		if err != nil {
			return err
		}
		fresh := false
		for _, p := range list {
			if p.state == 'Z' || slices.Contains(done, p.pid) {
				continue
			}
			fresh = true // It may have had time to fork.
			done = append(done, p.pid)
			if err := syscall.Kill(p.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("signal %d to process %d: %w", sig, p.pid, err)
			}
		}
		if !fresh {
			return nil
		}
	}
}

// pauseTree stops every descendant, and waits until they have stopped, as one in
// a system call goes on until that ends.
func pauseTree() error {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		if err := signalTree(syscall.SIGSTOP); err != nil {
			return err
		}
		list, err := descendants(os.Getpid())
		if err != nil {
			return err
		}
		if len(list) == 0 { // Pausing what does not run is a mistake of the test.
			return errNotRunning
		}
		if !slices.ContainsFunc(list, func(p process) bool { return p.state != 'T' && p.state != 'Z' }) {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return errors.New("processes did not stop within 5 s")
}

// untilNone calls f, which waits for the dead, until there are no descendants. One
// that is dead and not waited for counts: its other threads may still be at work,
// and its connections open.
func untilNone(limit time.Duration, f func() error) error {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if err := f(); err != nil {
			return err
		}
		list, err := descendants(os.Getpid())
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return nil
		}
	}
	return fmt.Errorf("processes did not end within %v", limit)
}

// freeSharedMemory removes the segment by which a PostgreSQL keeps a second one
// from its data. The kernel keeps it when the server is killed.
func freeSharedMemory(pidFile string) {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return // Another server, or one that ended properly.
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 7 {
		return
	}
	key := strings.Fields(lines[6]) // key and number of the segment
	if len(key) != 2 {
		return
	}
	id, err := strconv.Atoi(key[1])
	if err != nil {
		return
	}
	// Numbers are given out again, keys say whose it is.
	var segment unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(id, unix.IPC_STAT, &segment); err != nil || fmt.Sprint(uint32(segment.Perm.Key)) != key[0] {
		return
	}
	_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
}
