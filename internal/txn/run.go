package txn

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/owners"
	"github.com/flamego/session/internal/sessionid"
)

// createTries bounds the attempts to create a record. More than one is rarely needed.
const createTries = 5

// create makes a record under a free ID (G8).
func (s *Session) create(ctx context.Context, p *plan, ch *Changes) (v *Version, err error) {
	if p.from != regenerated && s.stale != nil { // Nothing takes the place of a session that has moved.
		moved, err := s.store.movedLately(ctx, s.stale)
		if err != nil {
			return nil, err
		}
		if moved {
			return nil, ErrEnded
		}
	}
	if err := s.store.fits(unstored, ch); err != nil {
		return nil, err
	}
	id, t := p.id, unstored.terms.with(ch)
	defer func() {
		if p.claim != nil && err != nil && !errors.Is(err, ErrTooMany) && ctx.Err() == nil {
			s.store.withdraw(ctx, p.claim, "", id) // It would take the place of another session.
		}
	}()
	for try := 1; ; try++ {
		since := s.store.Now()
		if p.claim != nil {
			if err := s.store.enter(ctx, p.claim, "", id); err != nil {
				return nil, err
			}
		}
		if err := s.inTime(p, since); err != nil {
			return nil, err
		}
		v, err = s.store.create(ctx, id, ch, s.store.expiry(s.store.Now(), t))
		switch {
		case err == nil:
			return v, nil
		case !errors.Is(err, driver.ErrExists):
			switch {
			case v == nil:
			case s.adopt:
				s.dropFlashes(p) // The next try would merge them with what may be there.
			default:
				s.store.discard(ctx, v) // It may be there all the same, and nobody knows of it.
			}
			return nil, err
		case p.claim != nil && s.store.hasTombstone(ctx, id):
			return nil, ErrEnded
		case try == createTries:
			return nil, err
		case s.adopt || p.fixed() && s.store.Traits.HandlersSave: // Somebody else was first.
			v, err = s.merge(ctx, p, id, ch)
			if !errors.Is(err, driver.ErrNotFound) && !errors.Is(err, driver.ErrConflict) {
				return v, err
			}
		case p.fixed():
			return nil, err
		default:
			id = s.host.NewID()
		}
	}
}

// merge is create where a record exists. If that has expired, it is replaced as a whole.
// It may also be gone again by now.
func (s *Session) merge(ctx context.Context, p *plan, id string, ch *Changes) (*Version, error) {
	old, err := s.store.load(ctx, id)
	if err != nil {
		return nil, err
	}
	if old.terms.isNote {
		return nil, driver.ErrExists // It is the library's own.
	}
	now := s.store.Now()
	if !s.store.expired(old, now) {
		if ch, err = s.rebase(p, old, ch); err != nil {
			return nil, err
		}
		return s.swap(ctx, p, old, ch)
	}
	anew := &Changes{flushed: true, list: slices.Clone(ch.list)}
	for _, key := range keptKeys { // Flush leaves them alone.
		if anew.find(key) == nil {
			anew.Delete(key)
		}
	}
	t := unstored.terms.with(anew)
	return s.store.replace(ctx, old, anew, s.store.expiry(now, t))
}

// swap stores the changes by compare-and-swap. After a conflict it rebases them on the
// newer version and tries again.
func (s *Session) swap(ctx context.Context, p *plan, at *Version, ch *Changes) (*Version, error) {
	var turn turn
	defer turn.end()
	next, prepared, since := p.next, "", time.Time{}
	for {
		now := s.store.Now() // Before the list is written: a session must not outlast it, however long that takes.
		var err error
		if at, ch, err = s.current(ctx, p, at, ch, next, now); err != nil {
			return nil, err
		}
		if next == "" && ch.isIdle(at.View) {
			return at, nil
		}
		if err := s.store.fits(at, ch); err != nil {
			return nil, err
		}
		if err := s.adopted(ctx, p, at, ch, next, prepared == at.ID); err != nil {
			return nil, err
		}
		if prepared != at.ID {
			since = s.store.Now()
			if err := s.prepare(ctx, p, at.ID, next); err != nil {
				return nil, err
			}
			prepared = at.ID
		}
		if err := s.inTime(p, since); err != nil {
			return nil, err
		}
		v, err := s.write(ctx, p, at, ch, next, s.expiry(now, at, ch))
		switch {
		case err == nil:
			return v, nil
		case next != "" && errors.Is(err, driver.ErrExists) && s.store.hasTombstone(ctx, next):
			return nil, ErrEnded
		case !errors.Is(err, driver.ErrConflict):
			if v == nil {
				return nil, err
			}
			return s.inDoubt(ctx, p, at, v, next, err)
		case p.optional:
			return nil, err
		}
		fresh, err := turn.next(ctx, s.store, at.ID)
		if next != "" && fresh == nil && errors.Is(err, driver.ErrNotFound) {
			// Nobody else knows the new ID: an earlier try has moved it before failing.
			if fresh, err = s.arrived(ctx, at.ID, next); err == nil {
				next = ""
			}
		}
		if err == nil && p.salt != "" && fresh.ID != at.ID {
			next = "" // Another request has renewed it.
		}
		if at, ch, err = s.follow(p, at, fresh, ch, err); err != nil {
			return nil, err
		}
	}
}

// follow rebases on the version that was found in the place of at. If there is none, it says
// how the session has ended.
func (s *Session) follow(p *plan, at, found *Version, ch *Changes, err error) (*Version, *Changes, error) {
	if errors.Is(err, ErrExpired) && s.outlives(found) {
		err = nil
	}
	if errors.Is(err, driver.ErrNotFound) {
		return found, ch, s.gone(at)
	}
	if err == nil {
		ch, err = s.rebase(p, found, ch)
	}
	return found, ch, err
}

// rebase rebases the changes on another version, and lets the request see it.
func (s *Session) rebase(p *plan, at *Version, ch *Changes) (*Changes, error) {
	rebased, err := ch.Rebase(at.View)
	if err != nil {
		return ch, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.at.terms.listed == 0 && at.ID == p.at.ID {
		p.at = at // Another request may have adopted it.
	}
	if l := p.life; s.life == l {
		l.at, l.id, l.inflight, l.rebased = at, at.ID, rebased, true
		s.edits++ // An Update under way has read the old version.
	}
	return rebased, nil
}

// inDoubt finds out whether a version was stored, when the store returned an error but
// may have done the work: its answer may have been lost.
func (s *Session) inDoubt(ctx context.Context, p *plan, at, tried *Version, next string, failure error) (*Version, error) {
	if next != "" {
		v, err := s.movedInDoubt(ctx, p, at, tried, failure)
		if err != nil {
			s.dropFlashes(p) // An AddFlash that is in the moved record would be added to it again.
		}
		return v, err
	}
	now, err := s.store.load(ctx, at.ID)
	s.mu.Lock()
	ch := p.life.inflight
	s.mu.Unlock()
	if err == nil && bytes.Equal(now.Record.Data, tried.Record.Data) && (ch == nil || !ch.updates()) {
		return now, nil // The same result of an Update could be another request's, and says nothing.
	}
	s.dropFlashes(p)
	return nil, failure
}

// movedInDoubt is inDoubt for a move. It leaves the session under its new ID, or nothing
// there.
func (s *Session) movedInDoubt(ctx context.Context, p *plan, at, tried *Version, failure error) (*Version, error) {
	var v *Version
	var err error
	for range 2 { // The store has just failed, and may do so again.
		if _, err = s.store.load(ctx, at.ID); err == nil {
			s.store.discard(ctx, tried) // A copy that nobody has been told of.
			return nil, failure
		}
		if errors.Is(err, driver.ErrNotFound) {
			v, err = s.arrived(ctx, at.ID, tried.ID)
		}
		if err == nil {
			return v, nil
		}
		if errors.Is(err, ErrEnded) || errors.Is(err, driver.ErrNotFound) {
			break
		}
	}
	if !errors.Is(err, ErrEnded) {
		return nil, failure
	}
	s.store.discard(ctx, tried)
	if _, err := s.store.Find(ctx, at.ID); p.salt != "" && err == nil {
		return nil, failure // The session lives on where another request has renewed it.
	}
	return nil, ErrEnded
}

// current returns what is stored now if the version has expired meanwhile, or if the changes
// change nothing in it: what they delete was not there when it was loaded.
func (s *Session) current(ctx context.Context, p *plan, at *Version, ch *Changes, next string, now time.Time) (*Version, *Changes, error) {
	expired := s.store.expired(at, now) && !(s.store.Traits.Client && s.outlives(at))
	if !expired && (next != "" || !ch.isIdle(at.View)) {
		return at, ch, nil
	}
	fresh, err := s.store.Find(ctx, at.ID)
	return s.follow(p, at, fresh, ch, err)
}

// write replaces or moves the version that was seen.
func (s *Session) write(ctx context.Context, p *plan, at *Version, ch *Changes, next string, expiry time.Time) (v *Version, err error) {
	var again *owners.Claim
	if p.claim == nil && at.terms.with(ch).listed != 0 { // Or it is about to be nobody's.
		again = s.store.reenter(ctx, at, expiry)
	}
	if next == "" {
		v, err = s.store.replace(ctx, at, ch, expiry)
	} else if err = s.store.stands(ctx, at.ID); err == nil {
		v, err = s.store.move(ctx, at, next, ch, expiry)
	}
	if again != nil && errors.Is(err, driver.ErrConflict) {
		s.store.withdraw(ctx, again, at.ID, "") // If it has ended.
	}
	return v, err
}

// arrived returns the session under the ID that it was to move to, after it is gone from the
// old one. What is there may be a copy: a store that moves in two steps may have stored it,
// found that somebody else had moved or ended the session, and failed to remove the copy.
// Then it is ErrEnded.
func (s *Session) arrived(ctx context.Context, id, next string) (*Version, error) {
	for try := 1; ; try++ {
		v, err := s.store.Find(ctx, next)
		if err != nil {
			return nil, err
		}
		f, err := s.store.forwards(ctx, id)
		if err != nil {
			return nil, err
		}
		where := nowhere
		for _, other := range f.To {
			if other.ID == s.store.ref(next) {
				continue
			}
			at, err := s.store.whereabouts(ctx, other.ID)
			if err != nil {
				return nil, err
			}
			where = max(where, at)
		}
		switch {
		case f.Ended, where == beyond, where == here && try == settleTries:
			return nil, ErrEnded
		case where == nowhere:
			return v, nil
		}
		// That may be the copy of another one, which is about to undo it.
		if err := Pause(ctx, try); err != nil {
			return nil, err
		}
	}
}

// discard deletes what a call that failed may have stored, and nobody has been told of.
// What others have put there since stays, above all a tombstone: it keeps the next try from
// succeeding. Since Delete cannot compare, the record first moves out of the way of one.
func (s *Store) discard(ctx context.Context, tried *Version) {
	if !s.Traits.OwnRecords {
		_ = s.delete(ctx, tried.ID)
		return
	}
	for range 2 { // The store has just failed, and may do so again.
		away, err := s.move(ctx, tried, sessionid.New(len(tried.ID)), tombstone, s.Now().Add(owners.SettleFor))
		if err == nil {
			_ = s.delete(ctx, away.ID)
		}
		if err == nil || errors.Is(err, driver.ErrConflict) {
			return
		}
	}
}
