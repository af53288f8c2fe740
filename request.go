package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session/internal/carry"
	"github.com/flamego/session/internal/sessionid"
	"github.com/flamego/session/internal/txn"
)

// request is one Manager's session on an exchange. It is the host of the transaction.
type request struct {
	x       *exchange
	next    *request // of the next Manager on the exchange, or nil
	m       *Manager
	as      *injection
	live    live
	session Session // what is injected, in fields of the interface types
	store   Store
	c       flamego.Context

	by    *carry.Carrier // the one that brought a live ID, nil if none did
	has   client         // what the client has
	state txn.State      // what the client has to learn
	leave func()         // called at the end, or nil

	placed bool        // its record has to say where it belongs
	slid   bool        // the client's token is an old one: its expiry is in it
	due    bool        // a persistent cookie has to be sent again
	renew  bool        // the session needs a new ID
	shows  bool        // it was given a flash
	used   atomic.Bool // a handler used it: the response depends on the cookie
	linked atomic.Bool // a URL in the response has the ID

	vary, cache carry.Room // until the response starts, vary is room for the handles in the request
}

var _ txn.Host = (*request)(nil)

func (q *request) start(x *exchange, m *Manager, as *injection, c flamego.Context) {
	q.x, q.m, q.as, q.c = x, m, as, c
	// The memory store belongs to one Manager, and a client's token says where it
	// belongs, so neither needs the place in the record. An application's own Store
	// gets it only if a second Manager uses it.
	q.placed = m.core.Traits.Shared || m.placed.Load() || as.extra && !m.core.Traits.Local
	q.live.store, q.live.req = m.store, q
	q.live.txn.New(m.core, q)
	q.session, q.store = &q.live, (*boundStore)(q)
}

// NewID, Context, Place and Sends implement txn.Host.
func (q *request) Context() context.Context { return q.x.r.Context() }

func (q *request) NewID() string { return sessionid.New(q.m.opt.IDLength) }

func (q *request) Place() string {
	if q.placed {
		return q.m.at
	}
	return ""
}

func (q *request) Sends(newToken bool, maxAge int, refresh bool) (seconds int) {
	if decide(q.has, outcome{exists: true, newToken: newToken, maxAge: maxAge, again: refresh}) == noLine {
		return 0
	}
	return q.carrier().MaxAge(maxAge)
}

// carrier returns the transport that tells the client.
func (q *request) carrier() *carry.Carrier {
	if q.by != nil {
		return q.by
	}
	return q.m.carriers[0]
}

// load finds the session of the request, and returns its flash. It continues even if the
// client disconnects: drivers close a connection whose query is cancelled, so a flood of
// aborted requests would drain the pool.
func (q *request) load() (flash any, err error) {
	within := onDemand{q: q}
	defer within.end()
	// 1. Only an ID that the store holds is a session (G8).
	token, v, err := q.find(&within)
	if err == nil && q.by != nil {
		flash, err = q.begin(within.context(), token, v)
	}
	if over := q.x.r.Context().Err(); err == nil && over != nil && errors.Is(over, context.DeadlineExceeded) {
		err = over // No handler would run, and the response would be an empty success.
	}
	if err != nil {
		if q.leave != nil {
			q.leave()
		}
		return nil, fmt.Errorf("session: load: %w", err)
	}
	return flash, nil
}

// begin starts with the session that was found, and returns its flash.
func (q *request) begin(ctx context.Context, token txn.Token, v *txn.Version) (flash any, err error) {
	// 2. Take its flash (G5), or slide its expiry (G9).
	passive, err := q.ask("Options.Passive", q.m.opt.Passive, false)
	takes := false
	if err == nil && !passive {
		takes, err = q.ask("Options.TakesFlash", q.m.opt.TakesFlash, true)
	}
	switch {
	case err != nil:
	case passive:
		q.live.txn.Still()
	default:
		v, flash, err = q.m.core.Open(ctx, v, takes)
	}
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			q.by, err = nil, nil
			q.live.txn.Ended()
		}
		return nil, err
	}

	// 3. Begin on that version.
	q.live.txn.Begin(v)
	q.m.core.EmitLoaded(ctx, v)
	q.has = client{token: token, age: v.MaxAge()}
	if v.Superseded {
		q.has.token = v.Token() // Another response is telling the client.
	}
	q.renew = !passive && q.m.core.RenewalDue(v)
	q.due = !passive && q.m.core.CookieDue(v, q.by.MaxAge(q.has.age))
	if flash != nil {
		q.shows = true
		q.used.Store(true)
		// An answer of 304 would leave the flash unseen, and gone.
		q.x.r.Header.Del("If-None-Match")
		q.x.r.Header.Del("If-Modified-Since")
	} else if now := v.Token(); now != token && q.m.core.Traits.Client {
		q.has.token, q.slid = now, true
	}
	if q.by.Greet != nil {
		q.by.Greet(q.x.w(), q.x.r, string(v.Token()))
	}
	if q.m.enter != nil {
		q.leave = q.m.enter(v.ID)
	}
	return q.live.take(flash), nil
}

// ask calls an option of the application that reports something about the request.
func (q *request) ask(option string, rule func(*http.Request) bool, without bool) (yes bool, err error) {
	if rule == nil {
		return without, nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: panic: %v", option, p)
		}
	}()
	return rule(q.x.r), nil
}

// seal stores the session, even if the client disconnects (G12), and records what the client
// has to be told.
func (q *request) seal() error {
	tells := (q.due || q.renew) && !carry.IsPublic(q.x.w().Header())
	if !tells {
		var clean bool
		if q.state, clean = q.live.txn.SealClean(); clean {
			return nil
		}
	}
	ctx, cancel := q.beyond()
	defer cancel()
	var err error
	q.state, err = q.live.txn.Seal(ctx, tells && q.due, tells && q.renew)
	return unlessEnded(err)
}

// commitLate stores changes when it is too late to tell the client, or when only the
// handler can.
func (q *request) commitLate() error {
	if !q.live.txn.Dirty() {
		return nil
	}
	ctx, cancel := q.beyond()
	defer cancel()
	return unlessEnded(q.live.txn.Commit(ctx))
}

// unlessEnded drops ErrEnded: when another request has ended the session, the response still
// stands (G6). If the request may have lost its changes to the idle timeout, the error stays.
func unlessEnded(err error) error {
	if errors.Is(err, ErrEnded) && !errors.Is(err, txn.ErrOutlived) {
		return nil
	}
	return err
}

// commit is Commit in a handler. The cookie is written later, with the response.
func (q *request) commit(ctx context.Context) error {
	if q.x.closed.Load() {
		return errors.New("session: commit: the request has failed, so nothing more is stored")
	}
	ctx, cancel := q.m.store.deadline(ctx)
	defer cancel()
	return q.live.txn.Commit(ctx)
}

// render writes the header lines of this session. It may be called more than once. An
// error means that Options.WriteIDFunc panicked. Without a line to write it does not even
// ask for the header, which net/http would then copy.
func (q *request) render(w http.ResponseWriter) error {
	st := &q.state
	o := outcome{exists: st.Token != "", newToken: st.Token != q.has.token, maxAge: st.MaxAge, again: st.Refreshed || q.slid, kept: st.Lost || st.Undeleted}
	if l := decide(q.has, o); l != noLine {
		if err := q.tell(w, l); err != nil {
			q.has, q.slid, st.Refreshed = client{st.Token, st.MaxAge}, false, false // It would fail again.
			return err
		}
	}
	if q.shows { // A page that is shown again would show the flash again.
		carry.NoStore(w.Header(), &q.cache)
	}
	used := q.used.Load() && !q.x.closed.Load()
	for _, c := range q.m.carriers {
		if on := c.Vary; used && on != "" {
			carry.Vary(w.Header(), on, &q.vary)
		}
		// A URL may have the ID: one that the handler made, or one in the page of a new visitor.
		if c.Param != "" && (q.linked.Load() || q.by == nil && st.Token != "") {
			carry.Private(w.Header())
		}
	}
	q.m.protectURL(w, q.x.r)
	return nil
}

// protectURL keeps the URL of the request private if it may contain an ID, even if a cookie
// took precedence or the ID is invalid.
func (m *Manager) protectURL(w http.ResponseWriter, r *http.Request) {
	for _, c := range m.carriers {
		if c.Param != "" && carry.InURL(r, c.Param) {
			carry.Private(w.Header())
		}
	}
}

// tell tells the client what has changed.
func (q *request) tell(w http.ResponseWriter, l line) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("session: write ID: panic: %v", p)
		}
	}()
	st := &q.state
	switch l {
	case setLine:
		q.m.checkHost(q.x.r)
		q.write(w, q.carrier())
		if st.Rotated && q.carrier().Param != "" {
			// A sign-in that began with somebody's link does not stay in URLs if the client
			// accepts cookies.
			for _, c := range q.m.carriers {
				if c.Param == "" {
					q.write(w, c)
					break
				}
			}
		}
		carry.NoStore(w.Header(), &q.cache)
	case againLine:
		// A shared cache would hand it to everybody.
		if !carry.IsPublic(w.Header()) {
			q.write(w, q.carrier())
			carry.Reserve(w.Header(), &q.cache)
		}
	case removeLine:
		q.carrier().Remove(w, q.x.r)
		carry.NoStore(w.Header(), &q.cache)
	}
	return nil
}

// write tells the client its ID. No cookie outlasts the session.
func (q *request) write(w http.ResponseWriter, c *carry.Carrier) {
	age := q.state.MaxAge
	if ends := q.live.txn.Ends(); !ends.IsZero() {
		if left := max(1, int(ends.Sub(q.m.core.Now())/time.Second)); c.MaxAge(age) > left {
			age = left
		}
	}
	c.Write(w, q.x.r, string(q.state.Token), age)
}

// param returns the query parameter for the ID in this request's URLs, or "".
func (q *request) param() string {
	for _, c := range q.m.carriers {
		if c.Param != "" && (q.by == nil || q.by == c) {
			return c.Param
		}
	}
	return ""
}

// line is what a response says about the token that the client presents.
type line int

const (
	noLine     line = iota
	setLine         // the client does not have it, or has it with another Max-Age
	againLine       // the client has it, and is to keep it for longer
	removeLine      // the session is gone
)

// client is what the client has.
type client struct {
	token txn.Token // "" if it brought none that is good
	age   int       // the Max-Age of its cookie, 0 for that of the options
}

// outcome is what has become of the session.
type outcome struct {
	exists   bool
	newToken bool
	maxAge   int
	again    bool // a persistent cookie is due, or the token is an old one, though still good
	kept     bool // the client keeps what it has: another response tells it, or the record may still be there
}

// decide is the one place that decides what a response says. A response with a new token
// must not be kept by any cache, one that repeats it by no shared cache.
func decide(c client, o outcome) line {
	switch {
	case o.exists && (o.newToken || o.maxAge != c.age):
		return setLine
	case o.exists && o.again:
		return againLine
	case !o.exists && c.token != "" && !o.kept:
		return removeLine
	}
	return noLine
}
