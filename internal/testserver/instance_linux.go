package testserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/flamego/session/internal/freeport"
	"github.com/flamego/session/internal/wait"
)

func install(what string) error {
	_, file, _, _ := runtime.Caller(0)
	cmd := exec.Command("bash", filepath.Join(filepath.Dir(file), "install.sh"), cacheDir(), what)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Neither Ctrl-C nor the death of the test is for it.
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("install.sh: %w%s", err, tail(filepath.Join(cacheDir(), "install.log")))
	}
	return nil
}

// tail is the end of a log, for an error.
func tail(log string) string {
	text, _ := os.ReadFile(log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return "; its log ends:\n\t" + strings.Join(lines[max(0, len(lines)-8):], "\n\t")
}

// instance is a server that this process has started, below a keeper.
type instance struct {
	kind *Kind
	dir  string
	port int
	lock io.Closer // of the port
	cmd  *exec.Cmd // the keeper
	in   io.WriteCloser
	out  io.Reader
}

const (
	readyWithin = 2 * time.Minute // A server takes seconds; two cores may be busy.
	askWithin   = 5 * time.Second // one question to a server that may not be ready
)

var errNotRunning = errors.New("the server does not run")

func (s *Server) launch(k *Kind) error {
	system, _, _ := strings.Cut(k.Name, "-")
	if suite := os.Getenv("FLAMEGO_SESSION_SUITE"); suite != "" {
		system = suite
		k = &Kind{
			Name: k.Name, dsn: k.dsn, conf: k.conf, others: k.others, inner: k.inner, ask: k.ask, join: k.join,
			script: rooted(k.script), parent: filepath.Join(cacheDir(), suite+"-2", "srv"),
		}
	}
	if err := install(system); err != nil {
		return err
	}
	return s.run(k)
}

// rooted runs a script in a server's folder, in what it takes for the whole system: the
// folder is two levels below that.
func rooted(script string) string {
	return `
chown 65534:65534 .
IN=/srv/${PWD##*/} exec chroot --userspec=65534:65534 ../.. /bin/sh -eu <<'CHROOT'
cd $IN
` + script + `
CHROOT`
}

func (s *Server) run(k *Kind) error {
	var addrs []string
	for _, conf := range append([]string{k.conf}, k.others...) {
		for n, addr := range addrs {
			conf = strings.ReplaceAll(conf, fmt.Sprint("NODE", n), strings.Replace(addr, ":", " ", 1))
		}
		i := &instance{kind: k}
		s.nodes = append(s.nodes, i)
		if err := i.run(conf); err != nil {
			return fmt.Errorf("%w%s", err, tail(filepath.Join(i.dir, "log")))
		}
		addrs = append(addrs, freeport.Loopback(i.port))
	}
	if k.join != nil {
		if err := k.join(addrs); err != nil {
			return err
		}
	}
	s.Addrs = addrs[k.inner:]
	s.Addr, s.DSN = s.Addrs[0], k.at(strings.Join(s.Addrs, ","))
	return nil
}

func (i *instance) run(conf string) (err error) {
	if i.dir, err = os.MkdirTemp(i.kind.parent, "flamego-session-"); err != nil {
		return err
	}
	if i.port, i.lock, err = freeport.Reserve(); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(i.dir, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	i.cmd = exec.Command("/proc/self/exe") // Even if the file has been removed.
	// Nothing of the test's, such as PGDATA or MYSQL_HOME, may change what they do.
	cache := cacheDir()
	i.cmd.Env = []string{
		"PATH=" + cache + "/mysql-2:" + cache + "/mongo-2:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LC_ALL=C.UTF-8", "HOME=/", "PORT=" + strconv.Itoa(i.port), "CONF=" + conf, keeperEnv + "=" + i.kind.script,
	}
	// Out of reach of Ctrl-C, which goes to all of a terminal's process group; and of
	// the test's own output, for whose end go test waits.
	i.cmd.Dir, i.cmd.Stderr, i.cmd.SysProcAttr = i.dir, log, &syscall.SysProcAttr{Setsid: true}
	if i.in, err = i.cmd.StdinPipe(); err != nil {
		return err
	}
	if i.out, err = i.cmd.StdoutPipe(); err != nil {
		return err
	}
	if err := i.cmd.Start(); err != nil {
		return err
	}
	return i.start()
}

// start has the keeper run the script, and waits until the server is ready.
func (i *instance) start() error {
	if i.states() != "" {
		return errors.New("it runs already")
	}
	if _, err := i.in.Write([]byte{1}); err != nil {
		return err
	}
	if _, err := i.out.Read(make([]byte, 1)); err != nil {
		return err
	}
	dead := false
	err := wait.Until(readyWithin, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), askWithin)
		defer cancel()
		err := i.kind.ask(ctx, i.kind.at(freeport.Loopback(i.port)))
		// Whoever answers on the port, it is ours only if ours runs.
		if dead = i.states() == ""; dead {
			return nil
		}
		return err
	})
	if dead {
		return errNotRunning
	}
	return err
}

// pause waits until all have stopped: one in a system call goes on until that ends.
func (i *instance) pause() error {
	if i.states() == "" {
		return errNotRunning
	}
	return i.signal(syscall.SIGSTOP, "TZ")
}

func (i *instance) resume() error { return i.signal(syscall.SIGCONT, "RSDZI") }

func (i *instance) kill() error { return i.signal(syscall.SIGKILL, "") }

// states are those of the processes: R, S, D, T stopped, Z dead and not waited for,
// of which connections may still be open.
func (i *instance) states() (states string) {
	for _, state := range descendants(i.cmd.Process.Pid) {
		states += string(state)
	}
	return states
}

// signal signals all processes until they have one of the states.
func (i *instance) signal(sig syscall.Signal, states string) error {
	return wait.Until(askWithin, func() error {
		err := signalTree(i.cmd.Process.Pid, sig)
		if got := i.states(); strings.Trim(got, states) != "" {
			return fmt.Errorf("processes are in states %s after %v", got, sig)
		}
		return err
	})
}

func (i *instance) close() error {
	if i.in != nil {
		_ = i.in.Close()
		_ = i.cmd.Wait()
	}
	if i.lock != nil {
		_ = i.lock.Close()
	}
	return os.RemoveAll(i.dir)
}
