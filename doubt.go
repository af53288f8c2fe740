package session

import (
	"bytes"
	"context"
	"errors"
	"slices"
)

// doneAnyway is asked when the store has failed, but may have done its work: the
// answer may have been lost on the way.
func (s *liveSession) doneAnyway(ctx context.Context, a *attempt, next snapshot, ch *changes) bool {
	if a.newID != "" {
		return s.movedAnyway(ctx, a)
	}
	return s.storedAnyway(ctx, a, next, ch)
}

// movedAnyway looks for a session that was to move: in the end it is under its new ID,
// or nothing is.
func (s *liveSession) movedAnyway(ctx context.Context, a *attempt) bool {
	_, err := s.store.load(ctx, a.id)
	if err == nil {
		_ = s.store.remove(ctx, a.newID) // A copy that nobody has been told of.
		return false
	}
	if !errors.Is(err, ErrNotFound) {
		return false
	}
	snap, err := s.store.find(ctx, a.newID)
	if err != nil {
		return false
	}
	a.base, a.stored, a.id, a.newID = snap, true, a.newID, ""
	return true
}

// storedAnyway looks for a version that was to replace another. The same result of an
// Update may be another request's, and so says nothing. Where it cannot be told any
// more, a flash is not stored again: somebody may have seen it, and it is shown at most
// once (G5).
func (s *liveSession) storedAnyway(ctx context.Context, a *attempt, next snapshot, ch *changes) bool {
	now, err := s.store.load(ctx, a.id)
	switch {
	case err == nil && bytes.Equal(now.raw, next.raw) && !ch.updates():
		a.base, a.stored = now, true
		return true
	case err == nil && bytes.Equal(now.raw, a.base.raw):
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ch.list = slices.DeleteFunc(slices.Clone(ch.list), func(c change) bool { return c.key == flashKey && !c.deleted })
	return false
}
