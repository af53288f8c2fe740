package testserver

import (
	"errors"
	"testing"
)

// Server is a server of a storage system for one test: a throwaway started by
// this package, or one that an environment variable names.
type Server struct {
	// Name is what it is, with its version, for the log: "PostgreSQL 15.18".
	Name string
	// Addr is host:port, of a cluster the first one.
	Addr string
	// Addrs are all addresses of a cluster, and the sentinels of a sentinel set-up.
	Addrs []string
	// DSN is what the backend's Config takes: postgres://…, user:pw@tcp(…)/db
	// without parameters, mongodb://…; empty for Redis.
	DSN string

	nodes   []*Server    // of a cluster or sentinel set-up
	own     engine       // nil when it is not ours, or consists of nodes
	settled func() error // nil when all nodes work together; may itself be nil
	extra   any          // what the kind's function hands out besides
}

// engine is what runs a server. Its methods may be called concurrently.
type engine interface {
	pause() error
	resume() error
	kill() error
	start() error
	close()
}

// Node returns one node of a cluster or sentinel set-up, with methods that
// affect it alone. Of a cluster, 0 to 2 are the masters it starts with and 3 to 5
// their replicas, in the same order. Of a sentinel set-up, 0 is the master it
// starts with, 1 the replica, 2 to 4 are the sentinels. Any other server is its
// own only node.
func (s *Server) Node(i int) *Server {
	if len(s.nodes) == 0 && i == 0 { // Any other i panics below: the test is wrong.
		return s
	}
	return s.nodes[i]
}

// Pause stops all processes of the server, as a machine that hangs: connections
// stay open, new ones are accepted by the kernel, nothing is answered.
//
// A server that is not ours skips the test, or fails it with REQUIRE_ALL=1. So do
// Resume, Kill and Start.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	s.each(t, "pause", engine.pause)
}

// Resume lets a paused server go on.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	s.each(t, "resume", engine.resume)
}

// Kill ends all processes of the server with SIGKILL, paused or not. When it
// returns they are gone.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.each(t, "kill", engine.kill)
}

// Start starts the server again after Kill, at the same address and with the data
// it had, and waits until it answers; a whole cluster also until its nodes agree
// again, which takes about 2 s. A server that runs is an error.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.each(t, "start", engine.start)
	if s.settled != nil {
		if err := s.settled(); err != nil {
			t.Fatalf("testserver: start %s: %v", s.Name, err)
		}
	}
}

// each does something to all processes, and lets the test fail in its own line.
func (s *Server) each(t testing.TB, what string, do func(engine) error) {
	t.Helper()
	if s.own == nil && len(s.nodes) == 0 {
		absent(t, s.Name, errors.New("outages are tested on servers that the test has started itself; unset the environment variable"))
		return
	}
	if err := s.apply(do); err != nil {
		t.Fatalf("testserver: %s %s: %v", what, s.Name, err)
	}
}

// apply does it to all nodes at once, as those of a cluster wait for each other.
func (s *Server) apply(do func(engine) error) error {
	if len(s.nodes) == 0 {
		return do(s.own)
	}
	return parallel(s.nodes, func(_ int, n *Server) error { return n.apply(do) })
}

// Close ends the server and removes its data. Tests need not call it.
func (s *Server) Close() {
	if s.own == nil && len(s.nodes) == 0 {
		return // Not ours to end.
	}
	_ = s.apply(func(e engine) error {
		e.close()
		return nil
	})
}

// parallel calls f for all elements at once.
func parallel[T any](list []T, f func(i int, v T) error) error {
	errs := make(chan error, len(list))
	for i, v := range list {
		go func() { errs <- f(i, v) }()
	}
	var all []error
	for range list {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}
