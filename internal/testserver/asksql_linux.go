package testserver

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// stopPostgres is the signal for an immediate shutdown: children are killed,
// shared memory is freed, nothing is written.
const stopPostgres = syscall.SIGQUIT

// dial connects to a server for one question, which has a deadline: a server that
// hangs, or another program on the port, must not hold up the test.
func dial(port int) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", loopback(port), askWithin)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(askWithin)); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// askPostgres signs in, and is nil when the server would take a query. It speaks
// the protocol itself: the tests that need a driver bring their own, and psql may
// not be installed.
func askPostgres(port int) error {
	conn, err := dial(port)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	// The length, which counts itself, then version 3.0, then names and values.
	hello := append([]byte{0, 0, 0, 0, 0, 3, 0, 0}, "user\x00postgres\x00database\x00postgres\x00\x00"...)
	binary.BigEndian.PutUint32(hello, uint32(len(hello)))
	if _, err := conn.Write(hello); err != nil {
		return err
	}
	for in := bufio.NewReader(conn); ; {
		var head [5]byte // the kind of message, and its length without the kind
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return err
		}
		size := int(binary.BigEndian.Uint32(head[1:])) - 4
		if size < 0 || size > 1<<16 {
			return errors.New("not a PostgreSQL")
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(in, body); err != nil {
			return err
		}
		switch head[0] {
		case 'Z': // ready for query
			return nil
		case 'E':
			// During recovery, that it is starting up.
			return fmt.Errorf("postgres answers %q", body)
		}
	}
}

// askMySQL is nil when the server greets. It does so when it takes connections,
// and that is after it has executed its --init-file.
func askMySQL(port int) error {
	conn, err := dial(port)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	var head [5]byte // length and number of the packet, version of the protocol
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	if head[4] != 10 {
		return fmt.Errorf("mysql greets with %#x", head[4])
	}
	return nil
}
