// Package child starts processes for tests, which end with them.
package child

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
)

// Process is a program that runs. Its standard input ends when the test process does,
// whatever ends that: a program that reads it knows when to end. Its standard error
// is the test's unless the command says otherwise.
type Process struct {
	*exec.Cmd
	In  io.WriteCloser
	Out *bufio.Scanner // the lines of the standard output

	t testing.TB
}

// Again starts the test binary once more, with variables by which its TestMain knows
// what to do.
func Again(t testing.TB, env ...string) *Process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	// With the race detector a program waits a second before it exits.
	cmd.Env = append(append(os.Environ(), "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE")), env...)
	return Start(t, cmd)
}

// Start starts a program. At the end of the test it is killed if it still runs.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process{Cmd: cmd, In: in, Out: bufio.NewScanner(out), t: t}
	t.Cleanup(p.Kill)
	return p
}

// Line returns the next line of the output, or "" when there is none.
func (p *Process) Line() string {
	if !p.Out.Scan() {
		return ""
	}
	return p.Out.Text()
}

// Say writes a line to the standard input.
func (p *Process) Say(line any) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.In, line); err != nil {
		p.t.Fatal(err)
	}
}

// End ends the standard input, and waits until the program has ended of it.
func (p *Process) End() error {
	_ = p.In.Close()
	return p.Wait()
}

// Kill is kill -9.
func (p *Process) Kill() {
	_ = p.Process.Kill()
	_ = p.Wait()
}
