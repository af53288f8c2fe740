package testserver

import (
	"crypto/tls"
	"errors"
	"testing"
)

// Server is a server of a storage system.
type Server struct {
	Name   string      // with its version, for the log: "PostgreSQL 15.18"
	Addr   string      // host:port for Redis, and of what the test has started
	Addrs  []string    // all of them: of a cluster, or of sentinels
	DSN    string      // for the backend's Config, without parameters; "" for Redis
	Master string      // what sentinels call their master
	TLS    *tls.Config // what clients of RedisTLS need

	own     engine       // nil if it isn't the test's own, or has nodes
	nodes   []*Server    // of a cluster, or a master with replica and sentinels
	settled func() error // nil when all nodes work together; may itself be nil
}

// engine runs a server.
type engine interface {
	pause() error
	resume() error
	kill() error
	start() error
	close() error
}

// Node returns one node, with methods that affect it alone.
func (s *Server) Node(i int) *Server { return s.nodes[i] }

// Pause stops all processes of the server, as a machine that hangs: connections
// stay open, new ones are accepted by the kernel, nothing is answered. Like Resume,
// Kill and Start it is for a server that the test has started.
func (s *Server) Pause(t testing.TB) { t.Helper(); s.must(t, engine.pause) }

// Resume lets a paused server go on.
func (s *Server) Resume(t testing.TB) { t.Helper(); s.must(t, engine.resume) }

// Kill ends all processes of the server with SIGKILL, paused or not. When it
// returns they are gone.
func (s *Server) Kill(t testing.TB) { t.Helper(); s.must(t, engine.kill) }

// Start starts the server again after Kill, at the same address and with the data
// it had, and waits until it answers; a whole cluster also until its nodes agree
// again, which takes about 2 s.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.must(t, engine.start)
	if s.settled != nil {
		if err := s.settled(); err != nil {
			t.Fatalf("testserver: %s: %v", s.Name, err)
		}
	}
}

// Close ends the server and removes its data. Tests need not call it.
func (s *Server) Close() { _ = s.each(engine.close) }

func (s *Server) must(t testing.TB, do func(engine) error) {
	t.Helper()
	if err := s.each(do); err != nil {
		t.Fatalf("testserver: %s: %v", s.Name, err)
	}
}

func (s *Server) each(do func(engine) error) error {
	if s.own != nil {
		return do(s.own)
	}
	if len(s.nodes) == 0 {
		return errors.New("others use this server, too: get one of the test's own by Kind.Start")
	}
	errs := make([]error, len(s.nodes))
	for i, n := range s.nodes {
		errs[i] = n.each(do)
	}
	return errors.Join(errs...)
}
