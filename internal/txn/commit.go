package txn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flamego/session/driver"
)

// Commit stores the changes. If it fails, they stay for the next commit; only ErrEnded
// drops them. It waits until the context ends.
func (s *Session) Commit(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.committing.Unlock()
	_, err := s.commit(ctx, false, false)
	return err
}

// Seal is the last commit before the client is told. Later changes that the client would
// have to be told of fail as too late. Seal waits for a commit under way. refresh asks
// for a persistent cookie to be sent again, renew for a new ID.
func (s *Session) Seal(ctx context.Context, refresh, renew bool) (State, error) {
	if err := s.lock(ctx); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sealed = true
		return s.state(), err
	}
	defer s.committing.Unlock()
	refreshed, err := s.commit(ctx, refresh, renew)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed, s.untold = true, errors.Is(err, ErrEnded)
	st := s.state()
	st.Refreshed = refreshed
	return st, err
}

// SealClean is Seal if there is nothing to commit; otherwise it does nothing, and returns
// false. It is one step: what another goroutine changes comes before it, and is committed,
// or after it, and is told that it is too late.
func (s *Session) SealClean() (State, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dirty() {
		return State{}, false
	}
	s.sealed = true
	return s.state(), true
}

// Abandon is Seal without a commit: what is stored stands, the rest is too late.
func (s *Session) Abandon() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = true
	return s.state()
}

func (s *Session) lock(ctx context.Context) error {
	for !s.committing.TryLock() { // Another goroutine of the request is committing, which is rare.
		if err := Wait(ctx, time.Millisecond); err != nil {
			return fmt.Errorf("session: commit: %w", err)
		}
	}
	return nil
}

// Dirty reports whether a commit has anything to do, or to wait for.
func (s *Session) Dirty() bool {
	s.mu.Lock()
	dirty := s.dirty()
	s.mu.Unlock()
	return dirty
}

// dirty needs mu.
func (s *Session) dirty() bool {
	l := s.life
	if l.refused != nil || len(s.pendingDeletes) > 0 || l.inflight != nil || !l.pending.Empty() {
		return true
	}
	switch l.phase {
	case exposed, regenerated, moving:
		return true
	case stored:
		return !s.store.hasCreated(l.at.terms)
	case ended:
		return l.id != ""
	}
	return false
}

func (s *Session) commit(ctx context.Context, refresh, renew bool) (refreshed bool, err error) {
	var p plan
	if s.plan(&p, refresh, renew); p.life == nil {
		return false, p.err
	}
	at, err := s.run(ctx, &p)
	left := p.leftList(at, err)
	if err == nil && p.stores() {
		at, _ = s.store.adoptOr(ctx, at) // If it has ended, the next call finds out.
	}
	s.settle(&p, at, err)
	s.settleList(ctx, &p, at, err, left)
	switch {
	case err == nil && p.err == nil:
		if p.creates() || p.next != "" {
			s.announce(ctx, &p, at)
			err = s.overtaken(ctx, &p)
		}
		return p.refresh && p.stores(), err
	case err == nil:
		return false, p.err
	case p.optional:
		// The response is fine without it. If another request came first, the next one
		// tries again.
		if !errors.Is(err, ErrEnded) && !errors.Is(err, driver.ErrConflict) {
			s.store.Report(ctx, fmt.Errorf("session: refresh the cookie: %w", err))
		}
		return false, nil
	case errors.Is(err, ErrEnded), errors.Is(err, ErrTooMany), errors.Is(err, ErrTooLarge):
		return false, err
	}
	return false, fmt.Errorf("session: commit: %w", err)
}

func (s *Session) announce(ctx context.Context, p *plan, at *Version) {
	switch {
	case p.creates():
		s.store.emitSession(ctx, Began, "", at)
	case p.next == "" || at.ID != p.next:
	case p.salt != "":
		s.store.emitMoved(ctx, Renewed, p.at.ID, at)
	default:
		s.store.emitMoved(ctx, Rotated, p.at.ID, at)
	}
}

// overtaken is for a commit that the response has not waited for any longer. A record
// that nobody was told of is deleted again.
func (s *Session) overtaken(ctx context.Context, p *plan) error {
	s.mu.Lock()
	late := s.sealed && !p.sealed
	s.mu.Unlock()
	switch {
	case !late:
		return nil
	case p.creates():
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second) // Its own may have just ended.
		defer cancel()
		s.Destroy()
		_, err := s.commit(ctx, false, false)
		return errors.Join(ErrLate, err)
	}
	return ErrLateID
}

// run carries out the plan. A panic of the backend becomes an error, so that the changes
// are not lost.
func (s *Session) run(ctx context.Context, p *plan) (at *Version, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	// 1. Delete the records of destroyed sessions, before anything new is stored.
	for _, v := range p.pendingDeletes {
		if err := s.store.end(ctx, s.host.Place(), v); err != nil {
			return nil, fmt.Errorf("destroy: %w", err)
		}
		s.mu.Lock()
		s.pendingDeletes = slices.DeleteFunc(s.pendingDeletes, func(d *Version) bool { return d.ID == v.ID })
		s.mu.Unlock()
		s.store.leaveList(ctx, s.host.Place(), v)
		s.store.emitSession(ctx, Ended, byRequest, v)
	}
	if errors.Is(p.err, ErrEnded) {
		return nil, p.err
	}
	ch := p.changes
	if p.rebase {
		if ch, err = s.rebase(p, p.at, ch); err != nil {
			return nil, err
		}
	}
	// 2. Store the changes, in a new record or over the version that they were made on.
	switch {
	case p.creates():
		return s.create(ctx, p, ch)
	case p.stores():
		return s.swap(ctx, p, p.at, ch)
	}
	return nil, nil
}

// settle applies the outcome: the new version, or the changes as they were.
func (s *Session) settle(p *plan, at *Version, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := p.life
	ch := l.inflight
	l.inflight = nil
	switch {
	case s.life != l: // Destroyed meanwhile.
		if err == nil && p.stores() {
			s.deleteLater(at)
		}
	case err == nil && p.stores():
		if l.phase < stored && l.id != p.id { // RegenerateID came meanwhile.
			l.phase, l.next = moving, l.id
		}
		if l.phase != moving || l.next == at.ID {
			l.phase, l.next = stored, ""
		}
		l.at, l.id = at, at.ID
	case err == nil, p.optional:
	case errors.Is(err, ErrEnded):
		s.startLife(ended)
		s.lost = true
	case errors.Is(err, ErrTooMany), errors.Is(err, ErrTooLarge): // It stays as it was, so that the handler can respond.
		if l.phase < stored {
			s.startLife(unsaved)
		} else {
			l.phase, l.next, l.pending = stored, "", nil
			s.edits++
		}
	case p.dropOnFailure:
	case ch != nil:
		ch.append(l.pending)
		l.pending, l.rebased = ch, l.rebased || p.rebase
	}
}
