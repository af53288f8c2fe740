package session

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"reflect"
)

// hijacker stands between Flamego's writer and the connection of a request that
// asks for another protocol. Flamego runs no hook when the connection is taken over,
// and then it is too late to store anything.
type hijacker struct {
	http.ResponseWriter
	q *request
}

// watchHijack is for requests that may be about to leave HTTP (RFC 9110, section
// 7.8).
func (q *request) watchHijack() {
	if len(q.r.Header["Upgrade"]) == 0 && q.r.Method != http.MethodConnect {
		return
	}
	if field, err := innerWriter(q.w); err == nil {
		field.Set(reflect.ValueOf(&hijacker{field.Interface().(http.ResponseWriter), q}))
	}
}

// Hijack stores the session first, and puts a new cookie into the header of the
// response, from where the handler can take it. If the session cannot be stored the
// connection stays with HTTP.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	inner, ok := h.ResponseWriter.(http.Hijacker)
	if !ok {
		return nil, nil, fmt.Errorf("session: hijack: %w", http.ErrNotSupported)
	}
	q := h.q
	if !q.closed.Load() {
		if err := q.commit(); err != nil {
			q.m.report(err)
			return nil, nil, fmt.Errorf("session: hijack: %w", err)
		}
		q.tell()
	}
	conn, rw, err := inner.Hijack()
	if err == nil {
		q.hijacked.Store(true)
		q.seal()
	}
	return conn, rw, err
}

func (h *hijacker) Flush() {
	if f, ok := h.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

func (h *hijacker) Push(target string, opts *http.PushOptions) error {
	if p, ok := h.ResponseWriter.(http.Pusher); ok {
		return p.Push(target, opts)
	}
	return errors.ErrUnsupported
}

func (h *hijacker) Unwrap() http.ResponseWriter { return h.ResponseWriter }
