package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// server is one of the two that share a store: this program once more. Its methods may be
// called concurrently.
type server struct {
	name   string
	args   []string
	events *eventLog

	mu      sync.Mutex
	release release
	process *process // nil before the first start
}

// process is a server that runs, or has run.
type process struct {
	cmd   *exec.Cmd
	in    io.Closer // It ends when this is closed.
	site  *url.URL  // nil until it listens
	ended chan struct{}
}

// newServers returns servers One and Two, which listen on the ports after that of the stage.
func newServers(cfg config, stage string, events *eventLog) (list []*server, err error) {
	host, first, err := net.SplitHostPort(cfg.addr)
	if err != nil {
		return nil, err
	}
	for i, name := range []string{"One", "Two"} {
		port := "0"
		if first != "0" {
			n, _ := strconv.Atoi(stage)
			port = strconv.Itoa(n + i + 1)
		}
		list = append(list, &server{name: name, events: events, args: []string{
			"-name", name, "-addr", net.JoinHostPort(host, port), "-stage", stage,
			"-backend", cfg.backend.name, "-dsn", cfg.dsn, "-lifetime", cfg.lifetime.String(),
		}})
	}
	return list, nil
}

// runs returns the process, or nil if there is none or it has ended, whoever ended it.
func (s *server) runs() *process {
	if s.process == nil {
		return nil
	}
	select {
	case <-s.process.ended:
		return nil
	default:
		return s.process
	}
}

// start starts the server unless it runs, and returns when it listens.
func (s *server) start(r release) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs() != nil {
		return nil
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe, append(s.args, "-release", strconv.Itoa(int(r)))...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.release, s.process = r, &process{cmd: cmd, in: in, ended: make(chan struct{})}
	lines := bufio.NewScanner(out)
	for s.process.site == nil && lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), serving+" "); ok {
			site, _, _ := strings.Cut(rest, " ")
			s.process.site, _ = url.Parse(site)
		}
	}
	go s.follow(s.process, lines)
	if s.process.site == nil {
		<-s.process.ended
		return fmt.Errorf("server %s has not started: the line before this one says why", s.name)
	}
	return nil
}

// follow reads what the process prints, until it ends.
func (s *server) follow(p *process, lines *bufio.Scanner) {
	for lines.Scan() {
		if what, ok := strings.CutPrefix(lines.Text(), eventLine); ok {
			s.events.add("Server "+s.name, what)
		}
	}
	_ = p.cmd.Wait()
	close(p.ended)
}

// kill is kill -9: the server has no time to store or tidy up anything.
func (s *server) kill() { s.end(func(p *process) { _ = p.cmd.Process.Kill() }) }

// stop lets the server answer the requests under way first.
func (s *server) stop() { s.end(func(p *process) { _ = p.in.Close() }) }

func (s *server) end(how func(*process)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.runs()
	if p == nil {
		return
	}
	how(p)
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second): // More than it takes to end by itself.
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// serverState is what the page shows of a server.
type serverState struct {
	Name    string
	Release release
	Site    string // empty if it does not run
	Port    string
}

func (s *server) state() serverState {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := serverState{Name: s.name, Release: s.release}
	if p := s.runs(); p != nil {
		st.Site, st.Port = p.site.String(), p.site.Port()
	}
	return st
}
