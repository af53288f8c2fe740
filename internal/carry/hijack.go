package carry

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"reflect"
)

// hijacker stands between Flamego's writer and the connection of a request that asks
// for another protocol. Flamego runs no hook when the connection is taken over, and
// then it is too late to store anything.
type hijacker struct {
	http.ResponseWriter
	before func() error
	after  func()
}

// WatchHijack is for requests that may be about to leave HTTP (RFC 9110, section 7.8).
// before is called when the connection is to be taken over, and can refuse; after,
// when it has been.
func WatchHijack(w http.ResponseWriter, r *http.Request, before func() error, after func()) {
	if len(r.Header["Upgrade"]) == 0 && r.Method != http.MethodConnect {
		return
	}
	if field, err := InnerWriter(w); err == nil {
		field.Set(reflect.ValueOf(&hijacker{field.Interface().(http.ResponseWriter), before, after}))
	}
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	inner, ok := h.ResponseWriter.(http.Hijacker)
	if !ok {
		return nil, nil, fmt.Errorf("session: hijack: %w", http.ErrNotSupported)
	}
	if err := h.before(); err != nil {
		return nil, nil, fmt.Errorf("session: hijack: %w", err)
	}
	conn, rw, err := inner.Hijack()
	if err == nil {
		h.after()
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
