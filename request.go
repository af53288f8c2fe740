package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync"
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

	mark   string   // what its record says about where it belongs, or ""
	strict bool     // records that do not say so are no sessions
	by     carrier  // the way that a live ID came, nil if none did
	stale  string   // an ID that came and is dead
	told   string   // the value of a live session that the client holds: its ID, but see clientEngine
	age    int      // the Max-Age that goes with it, 0 for that of the options
	came   string   // the value that it came with
	due    bool     // a persistent cookie is to be sent again
	tells  bool     // the header tells the client a value, or takes one away
	beside *request // those of other Managers on the same HTTP request, in a ring, or nil

	closed   atomic.Bool // nothing is to be stored any more
	hijacked atomic.Bool // the handler writes to the connection itself

	header sync.Mutex // for goroutines of the handler that call Commit
	sealed bool       // the header is not ours any more: it has been sent, or the handler has returned

	values [2]string // room for what the request may name
}

// handle is the middleware.
func (m *Manager) handle(c flamego.Context, as names) {
	peer, again, err := m.meet(c, as)
	if again && err == nil {
		return // Used twice, say by the application and by a group.
	}
	q := &request{m: m, as: as.session, w: c.ResponseWriter(), r: c.Request().Request, mark: m.mark(as), strict: as.extra}
	q.live.store, q.live.req = m.store, q
	q.bound = boundStore{Store: m.outer, req: q}

	var flash any
	if err == nil {
		flash, err = q.load()
	}
	if err == nil && errors.Is(q.r.Context().Err(), context.DeadlineExceeded) {
		// No handler would run any more, and the answer be an empty success.
		err = fmt.Errorf("session: load: %w", context.DeadlineExceeded)
	}
	if err != nil {
		m.report(err)
		sendFailure(q.w, nil)
		return
	}

	if e, ok := m.store.engine.(*foreignEngine); ok && q.came != "" {
		e.visits.enter(q.came)
		defer e.visits.leave(q.came)
	}
	q.join(peer)
	m.inject(c, q, as, flash)
	q.w.Before(q.before)
	q.watchHijack()

	panicking := true
	defer func() {
		if panicking {
			q.closed.Store(true)
			q.seal()
		}
		if q.closed.Load() {
			dropTrailers(q.w)
		}
	}()
	c.Next()
	panicking = false
	q.finish()
}

// carrier is the way on which the client is answered.
func (q *request) carrier() carrier {
	if q.by != nil {
		return q.by
	}
	return q.m.carriers[0]
}

// started tells whether the client has been sent the status already.
func (q *request) started() bool { return q.w.Written() || q.hijacked.Load() }

// before is the hook that runs when the first byte is about to leave (G2, G3).
// It must not panic: Flamego's Recovery would answer 200.
func (q *request) before(w flamego.ResponseWriter) {
	q.header.Lock()
	q.guard()
	q.header.Unlock()
	defer q.seal()
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

// seal is for the moment from which on nobody may write to the header.
func (q *request) seal() {
	q.header.Lock()
	q.sealed = true
	q.header.Unlock()
}

func (q *request) deny(w flamego.ResponseWriter, err error) {
	q.closed.Store(true)
	if err := closeGate(w, q.retell); err != nil {
		q.m.report(err)
	}
	q.m.report(err)
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
	q.seal() // Goroutines of the handler may live on, and Commit.
}

// commit stores the session, whatever becomes of the client (G12).
func (q *request) commit() error {
	due := q.due && !q.started() && !isPublic(q.w.Header())
	if !due && !q.live.dirty() {
		return nil
	}
	ctx, cancel := q.m.deadline(context.WithoutCancel(q.r.Context()))
	defer cancel()
	if due && !q.live.dirty() {
		q.refresh(ctx)
		return nil
	}
	q.live.mu.Lock()
	q.live.refresh = due
	q.live.mu.Unlock()
	if err := q.commitWith(ctx, q.started()); !errors.Is(err, ErrEnded) {
		return err
	}
	return nil // Ended elsewhere: that is the end of it, and the answer stands.
}

// refresh notes in the record that the cookie is sent again, for no other reason
// than time. If it fails the response is as good without; if another request has
// come first, the next one sees to it.
func (q *request) refresh(ctx context.Context) {
	s := &q.live
	s.mu.Lock()
	id, base, stored := s.id, s.base, s.stored
	s.mu.Unlock()
	now := s.store.now()
	if !stored || s.store.over(base, now) {
		return
	}
	ch := &changes{}
	ch.set(sentKey, now.UnixMilli())
	next, err := s.store.replace(ctx, id, base, ch, s.store.expiry(now, base.terms()))
	switch {
	case err == nil:
		s.mu.Lock()
		if s.id == id {
			s.base, s.refresh = next, true
		}
		s.mu.Unlock()
	case !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound):
		q.m.report(fmt.Errorf("session: refresh the cookie: %w", err))
	}
}

var errLate = errors.New("session: first used after the response had started, so the client could not be told its ID, and nothing was stored: use the session before writing")

var errLateID = errors.New("session: regenerate ID: called while the response started, so the client could not be told, and keeps the ID that it has: call it before writing")

func (q *request) commitWith(ctx context.Context, started bool) error {
	q.live.mu.Lock()
	q.live.late = started
	q.live.mu.Unlock()
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
	started := q.isSealed() || q.started()
	err := q.commitWith(ctx, started)
	if err != nil && !errors.Is(err, ErrEnded) || started {
		return err
	}
	q.header.Lock()
	defer q.header.Unlock()
	if q.sealed {
		return errors.Join(err, q.tooLate(ctx))
	}
	q.tellLocked()
	return err
}

func (q *request) isSealed() bool {
	q.header.Lock()
	defer q.header.Unlock()
	return q.sealed
}

// tooLate is for a commit that the response did not wait for. A record that nobody
// was told of is removed again.
func (q *request) tooLate(ctx context.Context) error {
	s := &q.live
	s.mu.Lock()
	untold := s.stored && s.value() != q.told
	s.mu.Unlock()
	switch {
	case !untold:
		return nil
	case q.told != "":
		return errLateID
	}
	s.destroy()
	return errors.Join(errLate, s.commit(ctx))
}
