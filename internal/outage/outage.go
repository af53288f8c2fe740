// Package outage tells errors that pass by themselves from those that an administrator has
// to do something about. The former are few: there is no connection, the server is starting
// up, shutting down or failing over, it has too many connections, or a call took too long.
// What else a server answers is no outage, and keeps a site from starting.
package outage

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/flamego/session/driver"
)

// Is reports whether an error passes by itself: it is a driver.ErrUnavailable, the end of a
// context's time, or says that there is no connection.
func Is(err error) bool {
	switch {
	case errors.Is(err, driver.ErrUnavailable), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return true
	}
	var (
		network     net.Error
		errno       syscall.Errno
		op          *net.OpError
		address     *net.AddrError
		unknown     net.UnknownNetworkError
		isAnswer    = errors.As(err, &op) && op.Op == "remote error" // TLS: the server refuses the client.
		isNoAddress = errors.As(err, &unknown) || errors.As(err, &address)
	)
	// What a file's error holds, such as ENOTDIR, looks like a net.Error as well.
	isFile := op == nil && errors.As(err, &errno) && !errno.Temporary()
	return errors.As(err, &network) && !isAnswer && !isNoAddress && !isFile
}

// Mark makes an error a driver.ErrUnavailable, with the same text.
func Mark(err error) error {
	if err == nil || errors.Is(err, driver.ErrUnavailable) {
		return err
	}
	return marked{err}
}

type marked struct{ error }

func (m marked) Unwrap() []error { return []error{m.error, driver.ErrUnavailable} }
