package session

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync/atomic"

	"github.com/flamego/flamego"

	"github.com/flamego/session/internal/carry"
)

// exchange is one HTTP request and its response, with the sessions of all Managers on
// it. The outermost middleware makes it, and runs the handlers.
type exchange struct {
	w        flamego.ResponseWriter
	r        *http.Request
	requests []*request
	first    [1]*request // room for the usual case
	own      request     // the same

	closed   atomic.Bool // it has failed, and nothing is to be stored any more
	hijacked atomic.Bool // the handler writes to the connection itself
}

var exchangeType = reflect.TypeFor[*exchange]()

// join returns the exchange of the request, and a new session's request on it, or nil if
// this Manager has one already.
func (m *Manager) join(c flamego.Context, as *injection) (x *exchange, q *request, outermost bool, err error) {
	if v := c.Value(exchangeType); v.IsValid() {
		x = v.Interface().(*exchange)
		for _, q := range x.requests {
			if again, err := m.clashes(q, as); again || err != nil {
				return x, nil, false, err
			}
		}
		return x, &request{}, false, nil
	}
	x = &exchange{w: c.ResponseWriter(), r: c.Request().Request}
	x.requests = x.first[:0]
	c.Set(exchangeType, reflect.ValueOf(x))
	return x, &x.own, true, nil
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
		q.start(x, m, as)
		flash, err = q.load()
	}
	if err != nil {
		m.report(err)
		carry.SendFailure(c.ResponseWriter(), nil)
		return
	}
	x.requests = append(x.requests, q)
	q.inject(c, flash)
	if outermost {
		x.serve(c)
	}
}

// serve runs the handlers.
func (x *exchange) serve(c flamego.Context) {
	x.w.Before(x.before)
	carry.WatchHijack(x.w, x.r, x.beforeHijack, x.afterHijack)
	panicking := true
	defer func() {
		if panicking {
			x.closed.Store(true)
			x.abandon()
		}
		if x.closed.Load() {
			carry.DropTrailers(x.w)
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

// started tells whether the client has been sent the status already.
func (x *exchange) started() bool { return x.w.Written() || x.hijacked.Load() }

// before is the hook that runs when the first byte is about to leave (G2, G3). It must
// not panic: Flamego's Recovery would answer 200.
func (x *exchange) before(w flamego.ResponseWriter) {
	failed := x.closed.Load() // A handler has panicked, and Recovery answers.
	if x.settle(); x.closed.Load() && !failed {
		if err := carry.CloseGate(w, x.render); err != nil {
			x.requests[0].m.report(err)
		}
	}
}

// settle stores the sessions, and writes the header. If that fails, it closes the
// exchange.
func (x *exchange) settle() {
	if x.closed.Load() || x.seal() {
		x.render(x.w)
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

// finish stores what the hook has left: all of it when nothing was written, or what a
// streaming handler changed later.
func (x *exchange) finish() {
	if x.closed.Load() {
		return
	}
	if x.started() {
		for _, q := range x.requests {
			if err := q.commitLate(); err != nil {
				q.m.report(err)
			}
		}
		return
	}
	if x.settle(); x.closed.Load() {
		carry.SendFailure(x.w, x.render)
	}
}

// beforeHijack stores the sessions, and puts a new cookie into the header of the
// response, from where the handler can take it. If they cannot be stored the
// connection stays with HTTP.
func (x *exchange) beforeHijack() error {
	if x.closed.Load() {
		return nil
	}
	for _, q := range x.requests {
		err := q.commitLate()
		if err != nil {
			q.m.report(err)
			return err
		}
		q.state = q.live.txn.State()
		if err = q.render(x.w); err != nil {
			return err
		}
	}
	return nil
}

func (x *exchange) afterHijack() {
	x.hijacked.Store(true)
	x.abandon()
}

var errClosed = errors.New("session: commit: the request has failed, nothing is stored any more")
