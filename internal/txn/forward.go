package txn

import (
	"context"
	"errors"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/forward"
	"github.com/flamego/session/internal/owners"
)

// RenewAtLeast is the shortest Store.RenewEvery: a forward leads over one renewal.
const RenewAtLeast = forward.For

func (s *Store) forwardID(id string) string { return forward.ID(s.ref(id)) }

// ref is how the library's own records name a session.
func (s *Store) ref(id string) string {
	if e, ok := s.Engine.(Namer); ok && id != "" {
		return e.Ref(id)
	}
	return id
}

// leaveForward adds newID to the forward of id, next to the IDs that racing rotations of the
// same session have added. salt is that of a renewal, or "".
func (s *Store) leaveForward(ctx context.Context, id, newID, salt string) error {
	if !s.Traits.OwnRecords {
		return nil
	}
	return s.addToForward(ctx, id, forward.Target{ID: s.ref(newID), Salt: salt}.Word())
}

// addToForward adds a word to the forward of id, unless it is there.
func (s *Store) addToForward(ctx context.Context, id, word string) error {
	at, expiry := s.forwardID(id), s.Now().Add(forward.For)
	_, err := s.create(ctx, at, (&Changes{}).With(forwardKey, word), expiry)
	if errors.Is(err, driver.ErrExists) {
		err = s.amend(ctx, note{id: at, key: forwardKey, expiry: expiry, anew: true}, func(text string) (string, error) {
			return forward.Add(text, word), nil
		})
	}
	return err
}

// movesInSteps reports whether others may see both records while the store moves one, or find
// the new one when the old one has been moved or ended by somebody else.
func (s *Store) movesInSteps() bool {
	m, ok := s.Engine.(driver.OneStepMover)
	return s.Traits.OwnRecords && !(ok && m.MovesInOneStep())
}

// stands returns ErrConflict if there is no record under the ID any more. It is asked
// before a store moves a session in steps, after the forward was stored: an end either came
// before it, or finds the forward.
func (s *Store) stands(ctx context.Context, id string) error {
	if !s.movesInSteps() {
		return nil
	}
	_, err := s.load(ctx, id)
	if errors.Is(err, driver.ErrNotFound) {
		return driver.ErrConflict
	}
	return err
}

// forwards returns what the forward of id says, nothing if there is none.
func (s *Store) forwards(ctx context.Context, id string) (f forward.Forward, err error) {
	if !s.Traits.OwnRecords {
		return f, nil
	}
	v, err := s.load(ctx, s.forwardID(id))
	if isLost(err) {
		return f, nil
	}
	if err == nil {
		f = forward.Parse(v.terms.note)
	}
	return f, err
}

// markEnded makes the forward of id say that the session was ended. Where a store moves
// sessions in steps, that comes before the record is deleted: a mover that does not know what
// has become of its own steps finds the record gone, and asks whether it was ended.
func (s *Store) markEnded(ctx context.Context, id string) error {
	if !s.movesInSteps() {
		return nil
	}
	return s.addToForward(ctx, id, forward.EndMark)
}

// settleTries is how often a copy is looked at that may be there only while a store moves a
// session in two steps.
const settleTries = 10

const (
	nowhere = iota
	here
	beyond // it has moved on, or has ended
)

// whereabouts says whether the session has moved to this ID, and on from there.
func (s *Store) whereabouts(ctx context.Context, id string) (where int, err error) {
	t := forward.Trail{IDs: []string{id}}
	for i := 0; i < len(t.IDs); i++ {
		v, err := s.load(ctx, t.IDs[i])
		switch {
		case err == nil && v.terms.isNote: // A tombstone.
			return beyond, nil
		case err == nil:
			return min(here+i, beyond), nil
		case !isLost(err):
			return nowhere, err
		}
		f, err := s.forwards(ctx, t.IDs[i])
		if err != nil {
			return nowhere, err
		}
		if f.Ended {
			return beyond, nil
		}
		t.Follow(f)
	}
	return nowhere, nil
}

// isLost reports whether there is no such record, or none that anybody will ever read.
func isLost(err error) bool {
	return errors.Is(err, driver.ErrNotFound) || errors.Is(err, driver.ErrUnreadable)
}

// findRenewed finds the session that had this ID until it was renewed, a while ago. If there
// are several copies, all but one are about to go.
func (s *Store) findRenewed(ctx context.Context, f *Found) (found *Version, err error) {
	for try := 1; ; try++ {
		if !f.looked || try > 1 {
			f.forward, err = s.load(ctx, s.forwardID(f.ID))
			if f.looked = err == nil || errors.Is(err, driver.ErrNotFound); err != nil {
				return nil, err
			}
		}
		left := f.forward
		if left == nil || left.View == nil {
			return nil, driver.ErrNotFound
		}
		said := forward.Parse(left.terms.note)
		if said.Ended { // What is found all the same is the copy of a move that has failed.
			return nil, driver.ErrNotFound
		}
		n, rotated := 0, []string(nil)
		for _, to := range said.To {
			if to.Salt == "" || s.Now().After(left.Record.Expiry) {
				rotated = append(rotated, to.ID)
				continue
			}
			v, err := s.Find(ctx, forward.RenewedID(f.ID, to.Salt))
			switch {
			case err == nil:
				v.Superseded = s.isRecent(left)
				found = v
				n++
			case !errors.Is(err, driver.ErrNotFound):
				return nil, err
			}
		}
		for _, to := range rotated {
			if n == 0 {
				break
			}
			where, err := s.whereabouts(ctx, to)
			if err != nil {
				return nil, err
			}
			if where != nowhere {
				n++
			}
		}
		switch {
		case n == 0:
			return nil, driver.ErrNotFound
		case n == 1 || try == 4*settleTries: // By now a mover in doubt has decided, and removed its copy.
			return found, nil
		}
		if err := Pause(ctx, try); err != nil {
			return nil, err
		}
	}
}

// End deletes the session under an ID, as the Stores of v1.6.6 do. The ID must be one that a
// client may present: anybody can work out that of an owner's list.
func (s *Store) End(ctx context.Context, id string) error {
	if err := s.delete(ctx, id); err != nil {
		return err
	}
	if s.RenewEvery > 0 { // The ID may be an old one that is still good.
		v, err := s.findRenewed(ctx, &Found{ID: id})
		switch {
		case err == nil:
			return s.End(ctx, v.ID)
		case !errors.Is(err, driver.ErrNotFound):
			return err
		}
	}
	s.Emit(ctx, Event{Kind: Ended, ID: id, By: byRequest})
	return nil
}

// end deletes a session, and follows its forward to those that it has moved to. These it
// takes off their owners' lists as well.
func (s *Store) end(ctx context.Context, place string, v *Version) error {
	t := forward.Trail{IDs: []string{v.ID}}
	for i := 0; i < len(t.IDs); i++ {
		was := v
		if i > 0 {
			was, _ = s.load(ctx, t.IDs[i])
		}
		if err := s.markEnded(ctx, t.IDs[i]); err != nil {
			return err
		}
		if err := s.delete(ctx, t.IDs[i]); err != nil {
			return err
		}
		if was == nil && s.movesInSteps() { // It may be about to move there.
			if _, err := s.create(ctx, t.IDs[i], tombstone, s.Now().Add(owners.SettleFor)); err != nil && !errors.Is(err, driver.ErrExists) {
				return err
			}
		}
		f, err := s.forwards(ctx, t.IDs[i])
		if err != nil {
			return err
		}
		t.Follow(f)
		if i > 0 && was != nil {
			s.leaveList(ctx, place, was)
		}
	}
	return nil
}

// movedLately reports whether a session has left one of these dead IDs a moment ago.
func (s *Store) movedLately(ctx context.Context, dead *Found) (bool, error) {
	if !s.Traits.OwnRecords {
		return false, nil
	}
	var ids []string
	for d := dead; d != nil; d = d.next {
		switch {
		case !d.looked:
			ids = append(ids, s.forwardID(d.ID))
		case d.forward != nil && s.hasMovedLately(d.forward):
			return true, nil
		}
	}
	forwards, err := s.loadMany(ctx, ids)
	for _, f := range forwards {
		if f.View != nil && s.hasMovedLately(f) {
			return true, nil
		}
	}
	return false, err
}

// hasMovedLately reports whether a session has left by this forward a moment ago. The mark of
// an end alone leads nowhere.
func (s *Store) hasMovedLately(left *Version) bool {
	return s.isRecent(left) && len(forward.Parse(left.terms.note).To) > 0
}

func (s *Store) isRecent(left *Version) bool { return forward.IsRecent(left.Record.Expiry, s.Now()) }
