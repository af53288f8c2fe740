package testserver

import (
	"encoding/json"
	"os"
	"os/signal"
	"runtime"
	"syscall"

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
//
// Paths are absolute, as the keeper's working directory is that of the test, which
// a server must not depend on.
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

// keep is the life of a keeper, and returns its exit status. Whatever ends it
// short of SIGKILL, it cleans up; SIGKILL reaches its children by their own
// arrangement with the kernel, see spawn.
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

	// Orders are read aside, so that the end of the pipe is noticed also while a
	// program is waited for.
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
