// Package exampletest builds, starts and stops the example programs for their
// tests, as separate processes like those that a reader starts.
package exampletest

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flamego/session/internal/child"
	"github.com/flamego/session/internal/freeport"
	"github.com/flamego/session/internal/wait"
	"github.com/flamego/session/internal/webclient"
)

// patience is how long a program may take to start or to stop.
const patience = 20 * time.Second

// Build builds the named packages, and returns the folder of their programs.
func Build(t *testing.T, packages ...string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signal that asks a program to end")
	}
	dir := t.TempDir()
	args := append([]string{"build", "-o", dir + string(filepath.Separator)}, packages...)
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return dir
}

// Browser visits a program.
type Browser = webclient.Browser

// Page is its response.
type Page = webclient.Page

// NewBrowser returns a browser whose connections do not stay open: they would be some
// to a process that has ended.
func NewBrowser(t *testing.T, site string) *Browser {
	t.Helper()
	b := webclient.New(t, site)
	b.Transport = &http.Transport{DisableKeepAlives: true}
	return b
}

// Process is a running program, and the writer that its output goes to. Its methods
// must not be called concurrently.
type Process struct {
	t      *testing.T
	child  *child.Process
	lines  chan string   // of the standard output; closed when it ends
	exited chan struct{} // closed when the process has ended

	mu     sync.Mutex
	output bytes.Buffer
}

// Start runs a program. The environment is added to that of the test. At the end
// of the test the process is killed if it still runs.
func Start(t *testing.T, dir, program string, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{t: t, lines: make(chan string, 4096), exited: make(chan struct{})}
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env, cmd.Stderr = dir, append(os.Environ(), env...), p
	p.child = child.Start(t, cmd)
	go func() {
		defer close(p.exited)
		defer close(p.lines)
		for p.child.Out.Scan() {
			line := p.child.Out.Text()
			_, _ = p.Write([]byte(line + "\n"))
			select {
			case p.lines <- line:
			default: // Nobody waits for so late a line.
			}
		}
		_ = p.child.Wait()
	}()
	t.Cleanup(func() {
		_ = p.child.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("%s printed:\n%s", filepath.Base(program), p.Output())
		}
	})
	return p
}

// Write collects what the program prints.
func (p *Process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.Write(b)
}

// Output returns what the program has printed so far.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// WaitLine waits for a line of the standard output for which the function returns true.
func (p *Process) WaitLine(accept func(line string) bool) {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the program ended early:\n%s", p.Output())
			}
			if accept(line) {
				return
			}
		case <-timeout:
			p.t.Fatalf("the program does not print what is waited for:\n%s", p.Output())
		}
	}
}

// Stop asks the program to end, as Ctrl-C or a service manager does, and returns
// its exit code, which is -1 if it does not handle the signal.
func (p *Process) Stop() int {
	p.t.Helper()
	if err := p.child.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("the program has ended before it was asked to: %v\n%s", err, p.Output())
	}
	return p.Wait()
}

// Wait waits for the program to end, and returns its exit code.
func (p *Process) Wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatalf("the program does not end:\n%s", p.Output())
	}
	return p.child.ProcessState.ExitCode()
}

// StartOnPort is Start for programs that do not choose a free port themselves: it
// finds one for them, and returns when they listen on it. env is given the
// address.
func StartOnPort(t *testing.T, dir, program string, env func(addr string) []string) (p *Process, addr string) {
	t.Helper()
	port, reserved, err := freeport.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reserved.Close() })
	addr = freeport.Loopback(port)
	p = Start(t, dir, program, env(addr))
	p.waitPort(addr)
	return p, addr
}

// waitPort waits until the program listens.
func (p *Process) waitPort(addr string) {
	p.t.Helper()
	err := wait.Until(patience, func() error {
		select {
		case <-p.exited:
			return nil
		default:
		}
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	select {
	case <-p.exited:
		p.t.Fatalf("the program ended early:\n%s", p.Output())
	default:
	}
	if err != nil {
		p.t.Fatalf("the program does not listen on %s:\n%s", addr, p.Output())
	}
}
