package testserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// answer replies to an order, or tells why there is no keeper.
func (w *warden) answer(err error) {
	var r reply
	if err != nil {
		r.Error = err.Error()
	}
	_ = w.out.Encode(r) // A test that does not listen any more closes the pipe, too.
}

// obey answers every order exactly once, at once or when what it asks for is done.
func (w *warden) obey(o order) {
	switch o.Op {
	case "run", "spawn":
		// Without waiting here: reap answers a run when the program has ended.
		pid, err := w.spawn(o.Command)
		if o.Op == "run" && err == nil {
			w.waiting = pid
			w.reap() // Its end may have been reported already.
			return
		}
		w.answer(err)
	case "alive":
		w.answer(w.alive())
	case "pause":
		w.answer(pauseTree())
	case "resume":
		w.answer(signalTree(syscall.SIGCONT))
	case "kill":
		w.answer(w.kill())
	default:
		w.answer(fmt.Errorf("unknown order %q", o.Op))
	}
}

// spawn uses ForkExec and not os/exec, which would wait for the process itself and
// so compete with reap.
func (w *warden) spawn(c command) (int, error) {
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer func() { _ = log.Close() }()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer func() { _ = null.Close() }()
	attr := &syscall.ProcAttr{
		Dir:   c.Dir,
		Env:   c.Env,
		Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
		Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Chroot: c.Chroot},
	}
	if c.Dir == "" {
		attr.Dir = "/"
	}
	if c.Env == nil {
		attr.Env = os.Environ()
	}
	if c.AsUser {
		attr.Sys.Credential = &syscall.Credential{Uid: c.UID, Gid: c.GID}
	}
	pid, err := syscall.ForkExec(c.Args[0], c.Args, attr)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", c.Args[0], err)
	}
	w.children[pid] = &child{stop: c.Stop}
	return pid, nil
}

// reap takes note of all processes that have ended.
func (w *warden) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		c := w.children[pid]
		if c == nil {
			continue // An orphan.
		}
		c.exited, c.status = true, status
		if pid == w.waiting {
			w.waiting = 0
			delete(w.children, pid)
			w.answer(ended(status))
		}
	}
}

// ended is an error unless the process ended well.
func ended(status syscall.WaitStatus) error {
	if status.Exited() && status.ExitStatus() == 0 {
		return nil
	}
	return errors.New(outcome(status))
}

// outcome says it in words, for an error.
func outcome(status syscall.WaitStatus) string {
	if status.Signaled() {
		return fmt.Sprintf("ended by signal %d", status.Signal())
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}

// alive is an error unless every spawned process runs.
func (w *warden) alive() error {
	w.reap()
	if len(w.children) == 0 {
		return errNotRunning
	}
	for _, c := range w.children {
		if c.exited {
			return fmt.Errorf("%w: %s", errNotRunning, outcome(c.status))
		}
	}
	return nil
}

// kill ends the whole tree at once.
func (w *warden) kill() error {
	// Again and again: processes may be forked, or become ours, meanwhile.
	err := untilNone(5*time.Second, func() error {
		err := signalTree(syscall.SIGKILL)
		w.reap()
		return err
	})
	clear(w.children)
	return err
}

// end lets the servers end properly, which takes milliseconds, so that PostgreSQL
// gives its shared memory back; then it kills what is left.
func (w *warden) end() {
	proper := false
	for pid, c := range w.children {
		if c.exited {
			continue
		}
		// Nobody wants the data any more: what can, is killed.
		if c.stop == 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			continue
		}
		proper = true
		_ = syscall.Kill(pid, c.stop)
	}
	if proper {
		_ = untilNone(3*time.Second, func() error {
			err := signalTree(syscall.SIGCONT) // A paused one hears nothing.
			w.reap()
			return err
		})
	}
	_ = w.kill()
	freeSharedMemory(filepath.Join(w.dir, "data", "postmaster.pid"))
	_ = os.RemoveAll(w.dir)
}
