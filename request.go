package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync/atomic"

	"github.com/flamego/flamego"
)

// request ties a session to one HTTP request.
type request struct {
	m     *Manager
	as    reflect.Type // what the session is injected as
	w     flamego.ResponseWriter
	r     *http.Request
	live  liveSession
	bound boundStore

	by     carrier     // the way that the ID came, nil if none did
	told   string      // the value of a live session that the client holds: its ID, but see clientEngine
	age    int         // the Max-Age that goes with it, 0 for that of the options
	came   string      // the value that it came with
	remind bool        // the response refreshes what the client holds, for no other reason than time
	closed atomic.Bool // nothing is to be stored any more
	beside *request    // those of other Managers on the same HTTP request, in a ring, or nil
}

// handle is the middleware.
func (m *Manager) handle(c flamego.Context, as names) {
	peer, again, err := m.meet(c, as)
	if again && err == nil {
		return // Used twice, say by the application and by a group.
	}
	q := &request{m: m, as: as.session, w: c.ResponseWriter(), r: c.Request().Request}
	q.live.store, q.live.req = m.store, q
	q.bound = boundStore{Store: m.outer, req: q}

	var flash any
	if err == nil {
		flash, err = q.load()
	}
	if err != nil {
		if q.r.Context().Err() != context.Canceled { // Otherwise the client is gone.
			m.report(err)
		}
		sendFailure(q.w, nil)
		return
	}

	q.join(peer)
	m.inject(c, q, as, flash)
	q.w.Before(q.before)

	panicking := true
	defer func() {
		if panicking {
			q.closed.Store(true)
		}
		if q.closed.Load() {
			dropTrailers(q.w)
		}
	}()
	c.Next()
	panicking = false
	q.finish()
}

// load finds the session of the request, and returns its flash.
func (q *request) load() (flash any, err error) {
	s := q.m.store

	// 1. Only what looks like an ID gets as far as the store (G13).
	value := q.readValue()
	if value == "" {
		return nil, nil
	}
	ctx, cancel := q.m.deadline(q.r.Context())
	defer cancel()

	// 2. Only an ID that the store holds is a session (G8).
	id := value
	snap, err := s.find(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case isDecodeError(err):
		q.m.report(fmt.Errorf("session: load: %w", err))
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("session: load: %w", err)
	}

	if snap.sealed != nil {
		id = snap.sealed.id // The value was the whole session.
	}

	// 3. Whoever removes the flash from the record has it (G5).
	snap, flash, taken, err := q.takeFlash(id, snap)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("session: load: flash: %w", err)
	}

	// 4. Slide the expiry, unless it is far enough (G9).
	slid, terms := taken, snap.terms()
	if !taken && !s.fresh(snap.expiry, terms, s.now()) {
		snap, slid, err = s.slide(ctx, id, snap, s.expiry(s.now(), terms))
		if errors.Is(err, ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			q.m.report(fmt.Errorf("session: touch: %w", err)) // The session is good all the same.
		}
		terms = snap.terms() // Another request may have just changed them.
	}

	q.live.id, q.live.base, q.live.stored = id, snap, true
	q.live.used = taken
	q.told, q.came, q.age = q.live.value(), value, terms.cookieAge()
	// For a client that keeps the session the flash is a reason, too.
	q.remind = slid && (!taken || q.told == value)
	if q.told != value { // The client has to keep what has changed just now.
		q.by.write(q.w, q.r, q.told, q.age)
	} else {
		q.by.remind(q.w, q.r, value, q.age, slid)
	}
	return flash, nil
}

// readValue returns what may be an ID, of the first way that has such a thing. For
// a session in the client it is the session itself.
func (q *request) readValue() string {
	for _, c := range q.m.carriers {
		if value := c.read(q.r); q.m.store.names(value, q.m.leastID) {
			q.by = c
			return value
		}
	}
	return ""
}

// carrier is the way on which the client is answered.
func (q *request) carrier() carrier {
	if q.by != nil {
		return q.by
	}
	return q.m.carriers[0]
}

// onlyFlash is the change that takes the flash out.
var onlyFlash = &changes{list: []change{{key: flashKey, deleted: true}}}

func (q *request) takeFlash(id string, snap snapshot) (_ snapshot, flash any, taken bool, err error) {
	flash, ok := snap.get(flashKey)
	if !ok {
		return snap, nil, false, nil
	}
	// From here on a client that hangs up could lose the flash, not stop it.
	s := q.m.store
	ctx, cancel := q.m.deadline(context.WithoutCancel(q.r.Context()))
	defer cancel()
	var turn turn
	defer turn.end()
	for {
		next, err := s.replace(ctx, id, snap, onlyFlash, s.expiry(s.now(), snap.terms()))
		if err == nil {
			return next, flash, true, nil
		}
		if !errors.Is(err, ErrConflict) {
			return snap, nil, false, err
		}
		if snap, err = turn.next(ctx, s, id); err != nil {
			return snap, nil, false, err
		}
		if flash, ok = snap.get(flashKey); !ok {
			return snap, nil, false, nil
		}
	}
}

// started tells whether the client has been sent the status already.
func (q *request) started() bool { return q.w.Written() }

// before is the hook that runs when the first byte is about to leave (G2, G3).
// It must not panic: Flamego's Recovery would answer 200.
func (q *request) before(w flamego.ResponseWriter) {
	q.guardURL()
	if q.closed.Load() {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			q.deny(w, fmt.Errorf("session: commit: panic: %v", p))
		}
	}()
	if err := q.commit(); err != nil {
		q.deny(w, err)
		return
	}
	q.tell()
}

func (q *request) deny(w flamego.ResponseWriter, err error) {
	q.closed.Store(true)
	if err := closeGate(w, q.retell); err != nil {
		q.m.report(err)
	}
	q.m.report(err)
}

// retell is for a failure that comes after something was stored, by a Commit or by
// another Manager: that is good, and the client could not find it without its ID.
func (q *request) retell(w http.ResponseWriter) {
	defer func() {
		if p := recover(); p != nil { // Options.WriteIDFunc: the 500 must go out all the same.
			q.m.report(fmt.Errorf("session: write ID: panic: %v", p))
		}
	}()
	for p := q; p != nil; {
		switch {
		case p.told == p.came:
		case p.told != "":
			p.carrier().write(w, p.r, p.told, p.age)
		default: // Destroyed. Where the client keeps the session, it must let go of it.
			p.carrier().remove(w, p.r)
		}
		if p = p.beside; p == q {
			break
		}
	}
}

// finish stores what the hook has left: all of it when nothing was written, or
// what a streaming handler changed later.
func (q *request) finish() {
	if q.closed.Load() {
		return
	}
	err := q.commit()
	switch {
	case q.started():
		if err != nil {
			q.m.report(err)
		}
	case err != nil:
		q.closed.Store(true)
		q.m.report(err)
		sendFailure(q.w, q.retell)
	default:
		q.tell()
	}
	q.live.mu.Lock()
	q.live.over = true // Goroutines of the handler may live on, and Commit.
	q.live.mu.Unlock()
}

// commit stores the session, whatever becomes of the client (G12).
func (q *request) commit() error {
	if !q.live.dirty() {
		return nil
	}
	ctx, cancel := q.m.deadline(context.WithoutCancel(q.r.Context()))
	defer cancel()
	if err := q.commitWith(ctx, q.started()); !errors.Is(err, ErrEnded) {
		return err
	}
	return nil // Ended elsewhere: that is the end of it, and the answer stands.
}

var errLate = errors.New("session: first used after the response had started, so the client could not be told its ID, and nothing was stored: use the session before writing")

var errLateID = errors.New("session: regenerate ID: called while the response started, so the client could not be told, and keeps the ID that it has: call it before writing")

func (q *request) commitWith(ctx context.Context, started bool) error {
	late := started && q.live.dropUntold()
	lateID := started && q.live.dropNewID()
	if err := q.live.commit(ctx); err != nil {
		return err
	}
	if late && q.m.store.inClient {
		return errLateClient
	}
	if late {
		return errLate
	}
	if lateID {
		return errLateID
	}
	return nil
}

// dropUntold drops what would need a new record. What is to be removed stays.
func (s *liveSession) dropUntold() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store.inClient {
		return s.dropLate()
	}
	if s.stored || !s.asked && !s.pending.makes() {
		return false
	}
	s.forget()
	return true
}

// dropNewID drops an ID that the session was to move to.
func (s *liveSession) dropNewID() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := s.newID != ""
	s.newID = ""
	return late
}

// commitNow is Commit, called by a handler.
func (q *request) commitNow(ctx context.Context) error {
	if q.closed.Load() {
		return errors.New("session: commit: the request has failed, nothing is stored any more")
	}
	ctx, cancel := q.m.deadline(ctx)
	defer cancel()
	q.live.mu.Lock()
	started := q.live.over || q.started()
	q.live.mu.Unlock()
	err := q.commitWith(ctx, started)
	if (err == nil || errors.Is(err, ErrEnded)) && !started && !q.started() {
		q.tell()
	}
	return err
}

// guardURL is for URLs that hold an ID, which must not get into a Referer header
// or a cache, whatever the handler thinks: that of the request, also if a cookie
// came first, those that the handler made, and those in the page of a new visitor.
func (q *request) guardURL() {
	q.live.mu.Lock()
	linked := q.live.linked
	q.live.mu.Unlock()
	for _, c := range q.m.carriers {
		if qc := asQuery(c); qc != nil && (linked || q.by == nil && q.told != "" || qc.read(q.r) != "") {
			private(q.w.Header())
		}
	}
}

// tell lets the client know which session it has now.
func (q *request) tell() {
	defer q.guardURL()
	s := &q.live
	s.mu.Lock()
	value, stored, lost, used, age := s.value(), s.stored, s.lost, s.used, s.base.terms().cookieAge()
	s.lost = false
	s.mu.Unlock()
	switch {
	case stored && (value != q.told || age != q.age):
		q.told, q.age, q.remind = value, age, false
		q.carrier().write(q.w, q.r, value, age)
	case !stored && q.told != "":
		q.told, q.remind = "", false
		if lost { // The client may hold the cookie of a newer session by now.
			q.came = ""
			q.carrier().withdraw(q.w.Header())
		} else {
			q.carrier().remove(q.w, q.r)
		}
	case q.remind && isPublic(q.w.Header()):
		// A cache would hand the cookie to everybody. A later response refreshes it.
		q.carrier().withdraw(q.w.Header())
	}
	if used {
		for _, c := range q.m.carriers {
			if on := c.vary(); on != "" {
				vary(q.w.Header(), on)
			}
		}
	}
}
