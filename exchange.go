package session

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/flamego/flamego"

	"github.com/flamego/session/internal/carry"
)

// exchange is one HTTP request and its response, with the sessions of all Managers on
// it. The outermost middleware makes it, puts it between Flamego's writer and the
// connection, and runs the handlers. So it is asked before the first byte leaves (G2,
// G3): if a session cannot be stored then, it answers 500 in the place of the handler,
// which still believes in its answer, and swallows the rest.
type exchange struct {
	w        flamego.ResponseWriter // what handlers write to
	slot     *http.ResponseWriter   // where that keeps what it sends through: inner, then the exchange
	inner    http.ResponseWriter
	r        *http.Request
	requests []*request
	list     [1]*request // room for the usual case
	first    request     // the same

	settled bool        // the header lines are written
	begun   atomic.Bool // the response is on its way, or the handler writes to the connection itself
	closed  atomic.Bool // nothing is to be stored any more: it has failed, or a handler has panicked
	unseen  http.Header // the handler's, once it is not sent
}

// join returns the exchange of the request, and a place for this Manager's session on
// it, or nil if it has one already.
func (m *Manager) join(c flamego.Context, as *injection) (x *exchange, q *request, outermost bool, err error) {
	w := c.ResponseWriter()
	slot, err := carry.Inner(w)
	if err != nil {
		return nil, nil, false, fmt.Errorf("session: %w", err)
	}
	if x, ok := (*slot).(*exchange); ok {
		for _, q := range x.requests {
			if again, err := m.clashes(q, as); again || err != nil {
				return x, nil, false, err
			}
		}
		return x, &request{}, false, nil
	}
	x = &exchange{w: w, slot: slot, inner: *slot, r: c.Request().Request}
	x.requests = x.list[:0]
	return x, &x.first, true, nil
}

// clashes tells whether this Manager has been here before on the same request, or why
// it cannot work beside another.
func (m *Manager) clashes(q *request, as *injection) (again bool, err error) {
	if q.m == m {
		if q.as != as {
			err = fmt.Errorf("session: one Manager injects both %s and %s: make a Manager for each", q.as.session, as.session)
		}
		return true, err
	}
	for _, c := range m.carriers {
		for _, o := range q.m.carriers {
			if name := c.Name(); name != "" && name == o.Name() {
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
		m.report(err)
		carry.SendFailure(c.ResponseWriter(), nil)
		return
	}
	x.requests = append(x.requests, q)
	q.inject(flash)
	if outermost {
		x.serve(c)
	}
}

// serve runs the handlers.
func (x *exchange) serve(c flamego.Context) {
	*x.slot = x
	panicking := true
	defer func() {
		if panicking {
			x.closed.Store(true)
			x.abandon()
		}
		if x.closed.Load() {
			carry.DropTrailers(x.inner.Header())
		}
		for _, q := range x.requests {
			if q.leave != nil {
				q.leave()
			}
		}
	}()
	c.Next()
	panicking = false
	x.finish()
}

// Header is not the header that is sent once the response has failed: trailers would
// come after the body.
func (x *exchange) Header() http.Header {
	if x.unseen != nil {
		return x.unseen
	}
	return x.inner.Header()
}

// WriteHeader stores the sessions first. A response that is only announced (RFC 9110,
// section 15.2) can wait for that.
func (x *exchange) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		x.inner.WriteHeader(status)
		return
	}
	if x.begun.Swap(true) {
		return
	}
	given := x.closed.Load() // A handler has panicked, and Recovery answers; or it is the failure itself.
	if x.settle(); x.closed.Load() && !given {
		x.unseen = make(http.Header)
		carry.SendFailure(x.inner, x.render)
		return
	}
	x.inner.WriteHeader(status)
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

// Hijack stores the sessions, and puts a new cookie into the header of the response,
// from where the handler can take it. If they cannot be stored the connection stays
// with HTTP.
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h, ok := x.inner.(http.Hijacker)
	if !ok {
		return nil, nil, fmt.Errorf("session: hijack: %w", http.ErrNotSupported)
	}
	for _, q := range x.requests {
		if x.closed.Load() {
			break
		}
		err := q.commitLate()
		if err == nil {
			q.state = q.live.txn.State()
			err = q.render(x.w)
		}
		if err != nil {
			q.m.report(err)
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
// exchange. It must not panic: Flamego's Recovery would answer 200.
func (x *exchange) settle() {
	if x.settled {
		return // Nothing was written, and now a middleware in front of this one does.
	}
	if x.closed.Load() || x.seal() {
		x.render(x.inner)
		x.settled = true
	}
}

// seal stores all sessions, each for itself, and tells whether that succeeded.
func (x *exchange) seal() bool {
	for _, q := range x.requests {
		if err := q.seal(); err != nil {
			q.m.report(err)
			x.closed.Store(true)
		}
	}
	return !x.closed.Load()
}

// abandon lets the sessions be as they are stored.
func (x *exchange) abandon() {
	for _, q := range x.requests {
		q.state = q.live.txn.Abandon()
	}
}

// render writes all header lines that have to do with sessions: what the client is to
// know of what is stored, also if the response is that of a failure.
func (x *exchange) render(w http.ResponseWriter) {
	for _, q := range x.requests {
		if err := q.render(w); err != nil {
			q.m.report(err)
			x.closed.Store(true)
		}
	}
}

// finish stores what is left: all of it when nothing was written, or what a streaming
// handler changed later.
func (x *exchange) finish() {
	if x.closed.Load() {
		return
	}
	if x.begun.Load() {
		for _, q := range x.requests {
			if err := q.commitLate(); err != nil {
				q.m.report(err)
			}
		}
		return
	}
	if x.settle(); x.closed.Load() {
		carry.SendFailure(x.w, nil)
		if !x.begun.Load() { // Flamego takes an announced response for the whole.
			carry.SendFailure(x, nil)
		}
	}
}
