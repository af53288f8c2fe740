package testserver

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Ports of servers are below the range that the system takes from for outgoing
// connections (32768 and up), so that nobody gets one by chance while its server
// is killed. The port 10000 above a node's is the one that Redis clusters use
// among themselves.
const (
	firstPort = 12000
	lastPort  = 21999
	busOffset = 10000
)

// ports is the right to use a port, against other tests on this machine. It ends
// with the test's process.
type ports struct {
	once sync.Once
	lock *os.File
}

// freePort finds a port that nobody has and nobody listens on.
func freePort() (*ports, int, error) {
	dir, err := cacheDir()
	if err != nil {
		return nil, 0, err
	}
	// One file, with a lock of one byte for each port. The locks belong to the open
	// file, not to the process, so they work between servers of one test, too.
	f, err := os.OpenFile(dir+"/ports", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, 0, err
	}
	// By chance and not in order, so that tests that start together seldom meet.
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		lock := &unix.Flock_t{Type: unix.F_WRLCK, Start: int64(port), Len: 1}
		switch err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, lock); {
		case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES):
			continue
		case err != nil:
			_ = f.Close()
			return nil, 0, fmt.Errorf("reserve a port: %w", err)
		}
		// Programs that know nothing of the locks have ports, too.
		if silent(port) && silent(port+busOffset) {
			return &ports{lock: f}, port, nil
		}
		lock.Type = unix.F_UNLCK
		_ = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, lock)
	}
	_ = f.Close()
	return nil, 0, fmt.Errorf("no free port from %d to %d", firstPort, lastPort)
}

// silent tells whether nobody listens on a port.
func silent(port int) bool {
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// release is a no-op on nil, and the second time.
func (p *ports) release() {
	if p != nil {
		p.once.Do(func() { _ = p.lock.Close() })
	}
}
