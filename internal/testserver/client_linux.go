package testserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

var errNotRunning = errors.New("the server does not run")

// keeper is the test's side of a keeper. Its methods may be called concurrently.
type keeper struct {
	dir string // the keeper's own; it goes with it

	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// newKeeper starts a keeper with a folder below parent, or the system's temporary
// one for "".
func newKeeper(parent string) (*keeper, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	cmd := exec.Command("/proc/self/exe") // Even if the file has been removed.
	// With the race detector a program waits a second before it exits, for races to
	// show; a keeper has nobody to tell them.
	cmd.Env = append(os.Environ(), keeperEnv+"="+parent, "GORACE=atexit_sleep_ms=0")
	// Out of reach of Ctrl-C, which goes to all of a terminal's process group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// Nothing of the test's own output: go test would wait for the keeper.
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the keeper: %w", err)
	}
	k := &keeper{cmd: cmd, in: in, out: json.NewDecoder(out)}
	r, err := k.reply()
	if err != nil {
		k.close()
		return nil, err
	}
	k.dir = r.Dir
	// Servers may run as another user.
	if err := os.Chmod(k.dir, 0o711); err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

// reply reads an answer. That a server does not run is an error that callers tell
// from others, so it gets its identity back.
func (k *keeper) reply() (reply, error) {
	var r reply
	if err := k.out.Decode(&r); err != nil {
		return r, fmt.Errorf("the keeper does not answer: %w", err)
	}
	if detail, ok := strings.CutPrefix(r.Error, errNotRunning.Error()); ok {
		return r, fmt.Errorf("%w%s", errNotRunning, detail)
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	return r, nil
}

// do gives an order and waits for the answer. One at a time: the answers carry no
// names.
func (k *keeper) do(o order) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := json.NewEncoder(k.in).Encode(o); err != nil {
		return fmt.Errorf("the keeper does not listen: %w", err)
	}
	_, err := k.reply()
	return err
}

// run executes a command and waits for its end.
func (k *keeper) run(c command) error { return k.execute("run", c) }

// spawn starts a command that goes on.
func (k *keeper) spawn(c command) error { return k.execute("spawn", c) }

// execute tells the end of the log with an error: what the program itself said is
// the best explanation.
func (k *keeper) execute(op string, c command) error {
	if c.Log == "" {
		c.Log = filepath.Join(k.dir, "log")
	}
	if err := k.do(order{Op: op, Command: c}); err != nil {
		return fmt.Errorf("%s: %w%s", filepath.Base(c.Args[0]), err, tail(c.Log))
	}
	return nil
}

// alive is an error unless everything that was spawned still runs.
func (k *keeper) alive() error  { return k.do(order{Op: "alive"}) }
func (k *keeper) pause() error  { return k.do(order{Op: "pause"}) }
func (k *keeper) resume() error { return k.do(order{Op: "resume"}) }
func (k *keeper) kill() error   { return k.do(order{Op: "kill"}) }

// readyWithin bounds a start. A server takes a second; two cores may be busy.
const readyWithin = time.Minute

// await calls ready until it is, the server ends, or it takes too long.
func (k *keeper) await(ready func() error) error {
	deadline := time.Now().Add(readyWithin)
	for {
		err := ready()
		// Whoever answers on the port, it is ours only if ours runs.
		if err := k.alive(); err != nil {
			return err
		}
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready within %v: %w", readyWithin, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// close returns when everything that the keeper has started is gone.
func (k *keeper) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = k.in.Close() // This is the order: the same that a dying test gives.
	// It takes 8 s at most. Waiting longer could only be for a process that the
	// kernel does not let die.
	timer := time.AfterFunc(20*time.Second, func() { _ = k.cmd.Process.Kill() })
	defer timer.Stop()
	_ = k.cmd.Wait()
}

// tail is the end of a log, for an error.
func tail(log string) string {
	text, err := os.ReadFile(log)
	if err != nil || len(text) == 0 {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return "; its log ends:\n\t" + strings.Join(lines[max(0, len(lines)-8):], "\n\t")
}
