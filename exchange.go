package session

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/flamego/flamego"

	"github.com/flamego/session/internal/carry"
)

// exchange is one HTTP request and its response, with the sessions of all Managers on
// it. The outermost middleware makes it, puts it between Flamego's writer and the
// connection, and runs the handlers. So it is called before the first byte leaves (G2,
// G3). If a session cannot be stored then, it sends 500 instead of the handler's
// response, and discards what the handler writes.
//
// Every request makes one, so it has at most 512 bytes: Go's allocator takes longer for
// larger objects.
type exchange struct {
	slot  carry.Slot // where Flamego's writer keeps what it sends through: inner, then the exchange
	inner http.ResponseWriter
	r     *http.Request
	first request // the others follow it

	noted   bool        // before is known
	settled bool        // the header lines are written
	begun   atomic.Bool // the response has started, or the handler has taken over the connection
	closed  atomic.Bool // nothing more may be stored: storing has failed, or a handler has panicked
	before  http.Header // what those in front have set, which a failure keeps
	unseen  http.Header // the handler's header, when a failure is sent instead
	cause   *failure    // why nothing more may be stored, or nil after a panic
}

// join returns the exchange of the request, and a slot for this Manager's session on it, or
// nil if it has one already.
func (m *Manager) join(c flamego.Context, as *injection) (x *exchange, q *request, outermost bool, err error) {
	w := c.ResponseWriter()
	slot, err := carry.FindSlot(w)
	if err != nil {
		return nil, nil, false, fmt.Errorf("session: %w", err)
	}
	if x, ok := slot.Get().(*exchange); ok {
		for q := &x.first; q != nil; q = q.next {
			if again, err := m.clashes(q, as); again || err != nil {
				return x, nil, false, err
			}
		}
		return x, &request{}, false, nil
	}
	x = &exchange{slot: slot, inner: slot.Get(), r: c.Request().Request}
	return x, &x.first, true, nil
}

// clashes reports whether q is this Manager's own session on the same request. The
// error says why the two Managers cannot share a request.
func (m *Manager) clashes(q *request, as *injection) (again bool, err error) {
	if q.m == m {
		if q.as != as {
			err = fmt.Errorf("session: one Manager injects both %s and %s: make a Manager for each", q.as.session, as.session)
		}
		return true, err
	}
	for _, c := range m.carriers {
		for _, o := range q.m.carriers {
			if name := c.Name; name != "" && name == o.Name {
				return false, fmt.Errorf("session: two Managers on one request use %s, and would end each other's sessions: set another Options.Cookie.Name or Options.Transport for one of them", name)
			}
		}
	}
	return false, nil
}

// handle is the middleware.
func (m *Manager) handle(c flamego.Context, as *injection) {
	x, q, outermost, err := m.join(c, as)
	if err == nil && q == nil {
		return // Used twice, say by the application and by a group.
	}
	var flash any
	if err == nil {
		q.start(x, m, as, c)
		flash, err = q.load()
	}
	if err != nil {
		m.refuse(c, x, err)
		return
	}
	if !outermost {
		x.add(q)
	}
	q.inject(flash)
	if status := x.w().Status(); x.begun.Load() || status != 0 && !isInformational(status) {
		x.begun.Store(true) // A handler in front has written already.
		q.state = q.live.txn.Abandon()
	}
	if outermost {
		x.serve(c)
	}
}

// w is what handlers write to.
func (x *exchange) w() flamego.ResponseWriter { return x.first.c.ResponseWriter() }

func (x *exchange) add(q *request) {
	last := &x.first
	for last.next != nil {
		last = last.next
	}
	last.next = q
}

// serve runs the handlers.
func (x *exchange) serve(c flamego.Context) {
	x.slot.Set(x)
	panicking := true
	defer func() {
		if panicking {
			x.closed.Store(true)
			x.abandon()
		}
		if x.closed.Load() {
			carry.DropTrailers(x.inner.Header(), x.before)
		}
		for q := &x.first; q != nil; q = q.next {
			if q.leave != nil {
				q.leave()
			}
		}
	}()
	c.Next()
	panicking = false
	x.finish()
}

// Header returns the header for the handlers. Once storing has failed, it is no longer
// the one that is sent: trailers would still come after the body.
func (x *exchange) Header() http.Header {
	if x.unseen != nil {
		return x.unseen
	}
	x.note()
	return x.inner.Header()
}

// note saves the headers that middleware in front has set, before anybody else can change
// them. It does so only when the header is first requested, since net/http copies a header
// that was requested.
func (x *exchange) note() {
	if !x.noted {
		x.noted, x.before = true, carry.Before(x.first.c, x.inner.Header())
	}
}

// WriteHeader stores the sessions, then starts the response. An informational response
// (RFC 9110, section 15.2), such as 103 Early Hints, does not start it.
func (x *exchange) WriteHeader(status int) {
	if isInformational(status) {
		x.inner.WriteHeader(status)
		return
	}
	if x.begun.Swap(true) {
		return
	}
	given := x.closed.Load() // A handler has panicked, and Recovery responds; or this is the failure response.
	if x.settle(); x.closed.Load() && !given {
		x.unseen = make(http.Header)
		x.fail(x.inner, func(w http.ResponseWriter) { x.render(w) })
		return
	}
	x.inner.WriteHeader(status)
}

func isInformational(status int) bool {
	return status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
}

func (x *exchange) Write(b []byte) (int, error) {
	x.WriteHeader(http.StatusOK)
	if x.unseen != nil {
		return len(b), nil
	}
	return x.inner.Write(b)
}

// Flush implements http.Flusher.
func (x *exchange) Flush() {
	x.WriteHeader(http.StatusOK)
	if f, ok := x.inner.(http.Flusher); ok {
		f.Flush()
	}
}

// Push implements http.Pusher.
func (x *exchange) Push(target string, opts *http.PushOptions) error {
	if p, ok := x.inner.(http.Pusher); ok && x.unseen == nil {
		return p.Push(target, opts)
	}
	return http.ErrNotSupported
}

// Hijack stores the sessions first, and puts a new cookie into the response's header,
// for the handler to send. If they cannot be stored, it fails.
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h, ok := x.inner.(http.Hijacker)
	switch {
	case !ok:
		return nil, nil, fmt.Errorf("session: hijack: %w", http.ErrNotSupported)
	case x.unseen != nil:
		return nil, nil, errors.New("session: hijack: the request has failed, and another response is sent than the handler's")
	}
	for q := &x.first; q != nil; q = q.next {
		if x.closed.Load() {
			break
		}
		err := q.commitLate()
		if err == nil {
			q.state = q.live.txn.State()
			err = q.render(x.w())
		}
		if err != nil {
			q.report(err)
			return nil, nil, fmt.Errorf("session: hijack: %w", err)
		}
	}
	conn, rw, err := h.Hijack()
	if err == nil {
		x.begun.Store(true)
		x.abandon()
	}
	return conn, rw, err
}

// settle stores the sessions, and writes the header lines. If that fails, it closes the
// exchange. It must not panic: Flamego's Recovery would then send 200.
func (x *exchange) settle() {
	if x.settled {
		return // Nothing was written, and now a middleware in front of this one does.
	}
	if x.closed.Load() || x.seal() {
		x.settled = x.render(x.inner)
	}
}

// seal stores all sessions, independently, and reports whether that succeeded.
func (x *exchange) seal() bool {
	for q := &x.first; q != nil; q = q.next {
		if err := q.seal(); err != nil {
			x.shut(q, err)
		}
	}
	return !x.closed.Load()
}

// abandon drops the changes that are not stored.
func (x *exchange) abandon() {
	for q := &x.first; q != nil; q = q.next {
		q.state = q.live.txn.Abandon()
	}
}

// render writes the header lines of all sessions, and reports whether that succeeded. They
// tell the client what is stored, even when the response is a failure.
func (x *exchange) render(w http.ResponseWriter) (ok bool) {
	ok = true
	for q := &x.first; q != nil; q = q.next {
		if err := q.render(w); err != nil {
			x.shut(q, err)
			ok = false
		}
	}
	return ok
}

// finish stores the rest after the handlers have returned: everything if nothing was written,
// otherwise what a streaming handler changed after the first byte.
func (x *exchange) finish() {
	if x.closed.Load() {
		return
	}
	if x.begun.Load() {
		for q := &x.first; q != nil; q = q.next {
			if err := q.commitLate(); err != nil {
				q.reportFailure(err)
			}
		}
		return
	}
	if x.settle(); x.closed.Load() {
		x.fail(finalWriter(x.first.c, x), nil)
	}
}
