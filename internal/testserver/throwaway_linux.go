package testserver

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
)

// throwaway is a server below a keeper of its own. It is the engine of a Server.
type throwaway struct {
	*keeper
	ports *ports
	port  int
	// programs are what to spawn, in this order; each is given time to get ready
	// before the next.
	programs []program
}

// program is a part of a server.
type program struct {
	// command gets the port that clients use.
	command func(port int) (command, error)
	// ready is an error until the program answers.
	ready func(port int) error
}

// newThrowaway makes a keeper with a folder below parent; "" for the system's
// temporary one.
func newThrowaway(parent string) (*throwaway, error) {
	k, err := newKeeper(parent)
	if err != nil {
		return nil, err
	}
	return &throwaway{keeper: k}, nil
}

// fresh makes a throwaway and lets setup start it.
func fresh(parent string, setup func(s *throwaway) (*Server, error)) (*Server, error) {
	s, err := newThrowaway(parent)
	if err != nil {
		return nil, err
	}
	server, err := setup(s)
	if err != nil {
		s.close()
		return nil, err
	}
	return server, nil
}

// serve starts the programs for the first time, on a port of their own. Another
// process may take it in between, so that is tried again.
func (s *throwaway) serve(programs ...program) error {
	s.programs = programs
	for tries := 1; ; tries++ {
		ports, port, err := freePort()
		if err != nil {
			return err
		}
		s.ports, s.port = ports, port
		// A new log, or the last try's complaint would be found again.
		log := s.path("log")
		_ = os.Remove(log)
		err = s.launch()
		if err == nil {
			return nil
		}
		_ = s.kill()
		text, _ := os.ReadFile(log)
		if tries == 5 || !taken.Match(text) {
			return fmt.Errorf("%w%s", err, tail(log))
		}
		s.ports.release()
	}
}

// taken finds in a log that the port was in use.
var taken = regexp.MustCompile(`(?i)address already in use`)

// launch starts the programs one after the other, the first time and after a kill.
func (s *throwaway) launch() error {
	for _, p := range s.programs {
		c, err := p.command(s.port)
		if err != nil {
			return err
		}
		if err := s.spawn(c); err != nil {
			return err
		}
		if err := s.await(func() error { return p.ready(s.port) }); err != nil {
			return err
		}
	}
	return nil
}

// start is for a server that was killed. It uses the port it has: the lock on it
// was never given back.
func (s *throwaway) start() error {
	if err := s.alive(); err == nil {
		return errors.New("it runs already")
	}
	// What is left of a server of several programs would be in the way.
	if err := s.kill(); err != nil {
		return err
	}
	if err := s.launch(); err != nil {
		return fmt.Errorf("%w%s", err, tail(s.path("log")))
	}
	return nil
}

// close gives the port back when nothing listens there any more.
func (s *throwaway) close() {
	s.keeper.close()
	s.ports.release()
}

// path is below the keeper's folder.
func (s *throwaway) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// addr is where clients connect.
func (s *throwaway) addr() string { return loopback(s.port) }

// loopback is an address that nobody outside of this machine reaches.
func loopback(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// server describes it to tests.
func (s *throwaway) server(name, dsn string) *Server {
	return (&Server{Name: name, Addr: s.addr(), DSN: dsn, own: s}).alone()
}

// account is a user to run a server as.
type account struct{ uid, gid uint32 }

// unprivileged is who runs a server that refuses to be run by root, or nil when
// the test itself isn't root.
func unprivileged(name string) (*account, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &account{uint32(uid), uint32(gid)}, nil
}

// as lets a command be run by an account; nil changes nothing.
func (c command) as(a *account) command {
	if a != nil {
		c.AsUser, c.UID, c.GID = true, a.uid, a.gid
	}
	return c
}

// own gives a file to an account; nil changes nothing.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}

// plainEnv is the environment of servers: nothing of the test's, such as PGDATA
// or MYSQL_HOME, may change what they do.
func plainEnv() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/"}
}

// number finds a version such as 15.18 in what a program prints about itself.
func number(text string) string {
	return regexp.MustCompile(`\d+\.[\d.]*\d`).FindString(text)
}
