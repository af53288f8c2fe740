package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrEnded says that the session was ended by another request, here or on
// another server, so that there is nothing any more to store changes in. They
// are dropped: a session that ended stays ended.
var ErrEnded = errors.New("session: ended")

// attempt is what one commit takes up.
type attempt struct {
	id, newID     string
	taken         string // the ID when the changes were taken up
	base          snapshot
	stored, asked bool
	fresh         bool // RegenerateID has asked for a new session
	lives         int
}

// commit stores what has changed. If it fails, the changes stay, and the next
// commit tries again; only ErrEnded drops them.
func (s *liveSession) commit(ctx context.Context) error {
	for !s.committing.TryLock() { // Another goroutine of the request is at it, which is rare.
		if err := wait(ctx, time.Millisecond); err != nil {
			return fmt.Errorf("session: commit: %w", err)
		}
	}
	defer s.committing.Unlock()

	var a attempt
	var ch *changes
	var err error
	if err = s.refusal(); err != nil {
		return err
	}
	for ch == nil {
		// 1. Remove the record of a session that was destroyed. Nothing new is stored
		// before it is gone.
		if err = s.removeEnded(ctx); err != nil {
			return fmt.Errorf("session: destroy: %w", err)
		}

		// 2. Take up the changes. The session stays usable meanwhile.
		a, ch, err = s.takeUp()
	}

	// 3. Store them: in a new record, or in place of the version they were made on.
	if err == nil {
		err = s.put(ctx, &a, ch)
	}

	// 4. Settle: the new version, or everything as it was.
	s.settle(a, err)
	if err != nil && !errors.Is(err, ErrEnded) {
		return fmt.Errorf("session: commit: %w", err)
	}
	return err
}

// dirty tells whether a commit has anything to do.
func (s *liveSession) dirty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused != nil || s.ended != "" || s.newID != "" || !s.pending.empty() || s.asked && !s.stored ||
		s.stored && !s.store.dated(s.base.terms())
}

func (s *liveSession) refusal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

func (s *liveSession) removeEnded(ctx context.Context) error {
	s.mu.Lock()
	ended := s.ended
	s.mu.Unlock()
	if ended == "" {
		return nil
	}
	if err := s.store.remove(ctx, ended); err != nil {
		return err
	}
	if err := s.store.endForwards(ctx, ended); err != nil {
		return err
	}
	s.mu.Lock()
	if s.ended == ended {
		s.ended = ""
	}
	s.mu.Unlock()
	return nil
}

// takeUp moves the changes out of the way of new ones. When the version under them
// has changed since they were made, their Updates are done anew. It returns none if
// the session was destroyed since step 1: there is a place for one such ID only.
func (s *liveSession) takeUp() (attempt, *changes, error) {
	s.mu.Lock()
	if s.ended != "" {
		s.mu.Unlock()
		return attempt{}, nil, nil
	}
	ch, moved := s.pending, s.moved
	s.pending, s.inflight, s.moved = changes{}, &ch, false
	if s.revoked { // Nothing may take its place behind the caller's back.
		a, asked := attempt{lives: s.lives}, s.asked
		s.id, s.asked = "", false
		s.mu.Unlock()
		if ch.empty() && !asked {
			return a, &ch, nil
		}
		return a, &ch, ErrEnded
	}
	switch {
	case !s.stored && !s.asked && !ch.makes():
		s.id = ""
	case s.id == "":
		s.id = s.freshID() // Now, so that ID agrees when it is called meanwhile.
	}
	if s.id != "" {
		s.stamp(&ch)
	}
	a := attempt{id: s.id, taken: s.id, newID: s.newID, base: s.base, stored: s.stored, asked: s.asked, fresh: s.fresh, lives: s.lives}
	s.mu.Unlock()
	if !moved {
		return a, &ch, nil
	}
	anew, err := redo(&ch, a.base)
	if err != nil {
		s.mu.Lock()
		s.moved = true
		s.mu.Unlock()
		return a, &ch, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lives == a.lives {
		s.inflight = anew
	}
	return a, anew, nil
}

// put stores the changes. A panic of the backend is an error like any other: the
// changes must not be lost on the way out.
func (s *liveSession) put(ctx context.Context, a *attempt, ch *changes) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	switch {
	case a.stored:
		if ch.empty() && a.newID == "" {
			return nil
		}
		return s.swap(ctx, a, ch)
	case a.id == "":
		return nil // Nothing was put in: no session.
	default:
		return s.create(ctx, a, ch)
	}
}

// createTries bounds how often an ID is looked for, or the record under it. More
// than one try is for the unlikely.
const createTries = 5

// create makes a record under a free ID (G8).
func (s *liveSession) create(ctx context.Context, a *attempt, ch *changes) error {
	if s.req != nil && s.req.stale != "" && !a.fresh {
		moved, err := s.store.movedLately(ctx, s.req.stale)
		if err != nil {
			return err
		}
		if moved {
			return ErrEnded
		}
	}
	for try := 1; ; try++ {
		snap, err := s.store.create(ctx, a.id, ch, s.store.expiry(s.store.now(), ch.terms(snapshot{})))
		switch {
		case err == nil:
			a.base, a.stored = snap, true
			return nil
		case !errors.Is(err, ErrExists):
			if s.req != nil && snap.raw != nil {
				_ = s.store.remove(ctx, a.id) // It may be there all the same, and nobody knows of it.
			}
			return err
		case try == createTries:
			return err
		case s.req == nil: // Store.Save: somebody else was first.
			err = s.saveOver(ctx, a, ch)
			if !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrConflict) {
				return err
			}
		case a.asked:
			return err // The application has seen this ID already.
		default:
			a.id = s.freshID()
		}
	}
}

// saveOver is create where there is a record already. One that has expired
// counts as none: nothing of it stays. The record may be gone again by now.
func (s *liveSession) saveOver(ctx context.Context, a *attempt, ch *changes) error {
	old, err := s.store.load(ctx, a.id)
	if err != nil {
		return err
	}
	now := s.store.now()
	if !s.store.over(old, now) {
		a.base = old
		return s.swap(ctx, a, ch.on(old))
	}
	all := changes{flushed: true, list: slices.Clone(ch.list)}
	for _, key := range reservedKeys { // What Flush leaves alone.
		if all.find(key) == nil {
			all.remove(key)
		}
	}
	snap, err := s.store.replace(ctx, a.id, old, &all, s.store.expiry(now, all.terms(snapshot{})))
	if err == nil {
		a.base, a.stored = snap, true
	}
	return err
}

// swap puts the changes on top of the stored version, by compare-and-swap, until
// nobody came between.
func (s *liveSession) swap(ctx context.Context, a *attempt, ch *changes) error {
	var turn turn
	defer turn.end()
	forwarded := ""
	for {
		now := s.store.now()
		var snap snapshot
		var err error
		if s.store.over(a.base, now) {
			// Other requests may have kept it alive since it was loaded.
			if a.base, err = s.store.find(ctx, a.id); errors.Is(err, ErrNotFound) {
				return ErrEnded
			}
			if err == nil {
				ch, err = redo(ch, a.base)
			}
			if err != nil {
				return err
			}
			s.show(a, ch)
		}
		expiry := s.store.expiry(now, ch.terms(a.base))
		if a.newID != "" && forwarded != a.newID {
			if err := s.store.forward(ctx, a.id, a.newID); err != nil {
				return err
			}
			forwarded = a.newID
		}
		if a.newID != "" {
			snap, err = s.store.move(ctx, a.id, a.newID, a.base, ch, expiry)
		} else {
			snap, err = s.store.replace(ctx, a.id, a.base, ch, expiry)
		}
		switch {
		case err == nil:
			a.base, a.stored = snap, true
			if a.newID != "" {
				a.id, a.newID = a.newID, ""
			}
			return nil
		case !errors.Is(err, ErrConflict):
			if snap.raw != nil && s.doneAnyway(ctx, a, snap, ch) {
				return nil
			}
			return err
		}

		a.base, err = turn.next(ctx, s.store, a.id)
		if a.newID != "" && errors.Is(err, ErrNotFound) {
			// Nobody else knows the new ID: an earlier try has moved it, and then failed.
			if a.base, err = s.store.find(ctx, a.newID); err == nil {
				a.id, a.newID = a.newID, ""
			}
		}
		if err != nil {
			if errors.Is(err, ErrNotFound) {
				return ErrEnded
			}
			return err
		}
		if ch, err = redo(ch, a.base); err != nil {
			return err
		}
		s.show(a, ch)
	}
}

// redo runs the functions of Update on a newer version. They are the user's, and
// may panic; at this place, inside a hook of the response, nobody would catch it.
func redo(ch *changes, base snapshot) (_ *changes, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("update: the function panicked: %v", p)
		}
	}()
	return ch.on(base), nil
}

// show lets the request see the version that its changes are being put on.
func (s *liveSession) show(a *attempt, ch *changes) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lives == a.lives {
		s.base, s.inflight = a.base, ch
		s.moved = true
		s.edits++ // An Update under way has read the old version.
	}
}

func (s *liveSession) settle(a attempt, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := s.inflight
	s.inflight = nil
	switch {
	case s.lives != a.lives: // Destroyed meanwhile.
		if err == nil && a.stored {
			s.ended = a.id
		}
	case errors.Is(err, ErrEnded):
		s.forget()
		s.lost, s.revoked = true, true
	case err != nil || !a.stored: // No session: what was to be its lifetime stays.
		ch.then(&s.pending)
		s.pending = *ch
	default:
		if !s.stored && s.id != a.taken {
			s.newID = s.id // RegenerateID came meanwhile: that is where it goes next.
		}
		s.base, s.stored, s.id, s.asked = a.base, true, a.id, false
		if a.newID == "" && s.newID == a.id {
			s.newID = ""
		}
	}
}

// turn is a place in the queue of a session, taken at the first conflict.
type turn struct {
	leave func()
	tries int
}

// next waits for its turn and returns the version to try on.
func (t *turn) next(ctx context.Context, s *store, id string) (snapshot, error) {
	var err error
	if t.leave == nil {
		t.leave, err = s.queues.enter(ctx, id)
	} else {
		err = pause(ctx, t.tries)
	}
	if err != nil {
		return snapshot{}, err
	}
	t.tries++
	return s.find(ctx, id)
}

func (t *turn) end() {
	if t.leave != nil {
		t.leave()
	}
}
