package main

import (
	"bufio"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/flamego/session/test/compare/contract"
)

// program is a binary and what it was built of.
type program struct {
	path     string
	env      []string          // besides that of this command
	versions map[string]string // of modules, by path
}

// peer is a library in the comparison.
type peer struct {
	name    string
	program string
	prefix  string // of the names of its backends
	bare    string // the peer without sessions on the same framework
	on      string // the backends it has, or "" for all
}

var peers = []peer{
	{name: "ours", program: "ours", bare: "flamego"},
	{name: "v1.6.6", program: "legacy", bare: "flamego"},
	{name: "scs", program: "nethttp", prefix: "scs/", bare: "net/http", on: "memory sqlite redis postgres mysql"},
	{name: "gorilla", program: "nethttp", prefix: "gorilla/", bare: "net/http", on: "file"},
	{name: "by hand", program: "nethttp", prefix: "hand/", bare: "net/http"},
}

var bares = []peer{
	{name: "flamego", program: "ours"},
	{name: "net/http", program: "nethttp"},
}

func (p peer) has(backend string) bool {
	if p.on == "" {
		return true
	}
	for name := range strings.FieldsSeq(p.on) {
		if name == backend {
			return true
		}
	}
	return false
}

// build makes the three programs. That with this library is the source for v1.6.6,
// with one line more in its go.mod.
func build(ctx context.Context, root, dir string) (map[string]program, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	here := filepath.Join(root, "test", "compare")
	flamego := filepath.Join(here, "flamego")
	for _, ext := range []string{".mod", ".sum"} {
		text, err := os.ReadFile(filepath.Join(flamego, "go"+ext))
		if err != nil {
			return nil, err
		}
		if ext == ".mod" {
			text = append(text, "\nreplace github.com/flamego/session => ../../..\n"...)
		}
		if err := os.WriteFile(filepath.Join(dir, "ours"+ext), text, 0o600); err != nil {
			return nil, err
		}
	}
	programs := make(map[string]program)
	for name, args := range map[string][]string{
		"legacy": {flamego, "."},
		// What this library requires may be newer than what the file has.
		"ours":    {flamego, "-mod=mod", "-modfile=" + filepath.Join(dir, "ours.mod"), "."},
		"nethttp": {here, "./nethttp"},
		"up":      {root, "./internal/testserver/up"},
	} {
		p := program{path: filepath.Join(dir, name), versions: make(map[string]string)}
		cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-o", p.path}, args[1:]...)...)
		cmd.Dir = args[0]
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
		info, err := buildinfo.ReadFile(p.path)
		if err != nil {
			return nil, err
		}
		for _, m := range info.Deps {
			p.versions[m.Path] = m.Version
		}
		programs[name] = p
	}
	return programs, nil
}

// process is a program that serves.
type process struct {
	addr string
	pid  int
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

// start returns once the program listens. It ends when it is stopped, and when this
// command ends in whatever way.
func (p program) start(backend, dsn string, args ...string) (*process, error) {
	cmd := exec.Command(p.path, append([]string{"-backend", backend, "-dsn", dsn}, args...)...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	proc := &process{pid: cmd.Process.Pid, cmd: cmd, in: in, out: bufio.NewReaderSize(out, 1<<20)}
	// A start that hangs, for instance at a server that does not answer.
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	line, err := proc.out.ReadString('\n')
	timer.Stop()
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if !ok {
		return nil, errors.Join(fmt.Errorf("%s did not start on %s", filepath.Base(p.path), backend), err, proc.stop())
	}
	proc.addr = addr
	return proc, nil
}

func (p *process) stop() error {
	_ = p.in.Close()
	timer := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	return p.cmd.Wait()
}

func (p *process) order(text string, answer any) error {
	if _, err := fmt.Fprintln(p.in, text); err != nil {
		return err
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("order %q: %w", text, err)
	}
	return json.Unmarshal(line, answer)
}

func (p *process) stats() (s contract.Stats, err error) {
	return s, p.order("stats", &s)
}
