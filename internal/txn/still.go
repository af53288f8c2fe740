package txn

import (
	"context"
	"errors"
	"time"

	"github.com/flamego/session/driver"
)

// Still makes commits leave the expiry as it is, unless they change how long the session
// lasts. It must be called before the session is used.
func (s *Session) Still() { s.still = true }

// expiry is the expiry of the record that will follow a version.
func (s *Session) expiry(now time.Time, at *Version, ch *Changes) time.Time {
	t := at.terms.with(ch)
	expiry := s.store.expiry(now, t)
	if s.still && s.store.idle(t) == s.store.idle(at.terms) && s.store.absolute(t) == s.store.absolute(at.terms) && at.Record.Expiry.Before(expiry) {
		return at.Record.Expiry
	}
	return expiry
}

// Expires returns when the session ends if nobody uses it from now on: the pending
// changes count as stored. It is zero if there is no session, or if the engine itself
// decides.
func (s *Session) Expires() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, now := s.life, s.store.Now()
	if s.store.Traits.OwnExpiry || l.phase == ended || l.phase == unsaved && !l.pending.creates() && l.inflight == nil {
		return time.Time{}
	}
	ch := l.pending
	if l.inflight != nil {
		ch = l.inflight.clone()
		ch.append(l.pending)
	}
	t, end := l.at.terms.with(ch), l.at.Record.Expiry
	switch {
	case l.phase < stored:
		end = s.store.expiry(now, t)
	case l.phase == moving || !ch.Empty():
		end = s.expiry(now, l.at, ch)
	}
	if last := s.store.deadline(t, now); !last.IsZero() && last.Before(end) {
		return last
	}
	return end
}

// Ends returns when the absolute timeout ends the session, or zero for never.
func (s *Session) Ends() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.deadline(s.life.at.terms, s.store.Now())
}

// Refresh loads the session again, slides its expiry, and rebases the pending changes on
// what others have stored since. It returns ErrEnded if the session is gone, and any
// other error if that is not known.
func (s *Session) Refresh(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.committing.Unlock()
	s.mu.Lock()
	l, id, phase := s.life, s.life.at.ID, s.life.phase
	s.mu.Unlock()
	switch {
	case phase == ended:
		return ErrEnded
	case phase < stored, phase == moving && s.store.Traits.HandlersSave: // Nothing is stored, or the view itself is moving.
		return nil
	}
	v, err := s.store.Find(ctx, id)
	if err == nil && !s.still {
		v, err = s.store.slide(ctx, v)
	}
	if errors.Is(err, driver.ErrNotFound) {
		s.settle(&plan{life: l}, nil, ErrEnded)
		return ErrEnded
	}
	if err != nil {
		return err
	}
	for { // The functions of Update run without a lock.
		s.mu.Lock()
		pending, edits := l.pending.clone(), s.edits
		s.mu.Unlock()
		if pending, err = pending.Rebase(v.View); err != nil {
			return err
		}
		s.mu.Lock()
		same, gone := s.edits == edits, s.life != l
		if same && !gone {
			l.at, l.id, l.pending, l.rebased = v, v.ID, pending, false
			s.edits++ // An Update under way has read the old version.
		}
		s.mu.Unlock()
		if same || gone {
			return nil
		}
	}
}
