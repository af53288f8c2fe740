package testserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// keeperEnv makes this binary a keeper; its value is the folder to make the
// keeper's own folder in.
const keeperEnv = "TESTSERVER_KEEPER"

// A keeper must not reach the tests of the binary it is, nor take their flags.
func init() {
	if parent := os.Getenv(keeperEnv); parent != "" {
		os.Exit(keep(parent))
	}
}

// order is what a test asks its keeper to do.
type order struct {
	Op      string // run and wait, spawn, alive, pause, resume, kill, end
	Command command
}

// command is a program to execute.
type command struct {
	Args   []string       // the first is an absolute path
	Env    []string       // nil: that of the test
	Dir    string         // inside Chroot; "" for the root folder
	Chroot string         // "" for none
	Log    string         // takes stdout and stderr, appended; outside Chroot
	UID    uint32         // with GID: who runs it
	GID    uint32         //
	AsUser bool           // use UID and GID
	Stop   syscall.Signal // ends it properly; 0 when SIGKILL is good enough
}

// reply tells how it went.
type reply struct {
	Dir   string // the keeper's own folder, in the first reply
	Error string
}

// child is a process that the keeper has started.
type child struct {
	stop   syscall.Signal
	exited bool
	status syscall.WaitStatus
}

// warden is the keeper from inside. One goroutine does it all; signals and orders
// arrive by channels.
type warden struct {
	dir      string
	out      *json.Encoder
	children map[int]*child
	waiting  int // the child whose end answers a run; 0 for none
}

func keep(parent string) int {
	// Children get SIGKILL when this thread ends (PR_SET_PDEATHSIG is bound to the
	// thread), so this must be the thread that lasts as long as the process.
	runtime.LockOSThread()
	_ = os.Unsetenv(keeperEnv)
	// Processes whose parent has died become ours: nothing escapes from the tree.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 1
	}
	// A test that is gone must not end the keeper by SIGPIPE. Ignoring the signal
	// would be inherited by the servers.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	dead := make(chan os.Signal, 1)
	signal.Notify(dead, syscall.SIGCHLD)
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)

	w := &warden{out: json.NewEncoder(os.Stdout), children: make(map[int]*child)}
	var err error
	if w.dir, err = os.MkdirTemp(parent, "flamego-session-"); err != nil {
		w.answer(err)
		return 1
	}
	defer w.end()
	_ = w.out.Encode(reply{Dir: w.dir})

	orders := make(chan order)
	go func() {
		defer close(orders)
		in := json.NewDecoder(os.Stdin)
		for {
			var o order
			if in.Decode(&o) != nil {
				return
			}
			orders <- o
		}
	}()
	for {
		select {
		case o, ok := <-orders:
			if !ok {
				return 0
			}
			w.obey(o)
		case <-dead:
			w.reap()
		case <-end:
			return 0
		}
	}
}

func (w *warden) answer(err error) {
	var r reply
	if err != nil {
		r.Error = err.Error()
	}
	_ = w.out.Encode(r) // A test that does not listen any more closes the pipe, too.
}

func (w *warden) obey(o order) {
	switch o.Op {
	case "run", "spawn":
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
