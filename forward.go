package session

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"
	"time"
)

// A rotation leaves a forward: a record under an ID derived from the old one that
// names the new one, stored before the session moves. It serves two purposes.
//
// A request that signs out may know the old ID only. Deleting the old record either
// comes before the move, which then fails, or finds the forward, and what it names is
// deleted as well.
//
// A request that arrives with the old ID finds no session. What it sets must not go
// into a new one, whose cookie would replace that of the session that moved.
//
// A forward never signs anybody in, and no client can present its ID as a session: a
// stolen or planted old ID is worth nothing.

const (
	forwardFor = 5 * time.Minute
	// staleFor is how long what comes with the old ID is dropped. A client whose
	// answer to the rotation was lost gets through after that.
	staleFor = 10 * time.Second
)

func forwardID(id string) string {
	sum := sha256.Sum256([]byte("forward " + id))
	return strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
}

// forwards tells whether rotations leave forwards: where clients keep the sessions,
// and in a Store that is not ours, there is no place for them.
func (s *store) forwards() bool {
	switch s.engine.(type) {
	case *recordEngine, *memory:
		return true
	}
	return false
}

// forward names newID in the forward of id, beside the IDs that other rotations of
// the same session have named.
func (s *store) forward(ctx context.Context, id, newID string) error {
	if !s.forwards() {
		return nil
	}
	at, expiry, ch := forwardID(id), s.now().Add(forwardFor), &changes{}
	ch.set(forwardKey, newID)
	_, err := s.create(ctx, at, ch, expiry)
	for try := 1; try < createTries && (errors.Is(err, ErrExists) || errors.Is(err, ErrConflict)); try++ {
		var to []string
		var old snapshot
		if to, old, err = s.loadForward(ctx, at); err == nil {
			ch.set(forwardKey, strings.Join(append(to, newID), " "))
			_, err = s.replace(ctx, at, old, ch, expiry)
		}
	}
	return err
}

// loadForward returns what the forward under the derived ID names.
func (s *store) loadForward(ctx context.Context, at string) (to []string, snap snapshot, err error) {
	if snap, err = s.load(ctx, at); err != nil {
		return nil, snapshot{}, err
	}
	return strings.Fields(snap.terms().forward), snap, nil
}

// endForwards deletes whatever the session has moved to, and tells whether that could
// be found out.
func (s *store) endForwards(ctx context.Context, id string) error {
	if !s.forwards() {
		return nil
	}
	to, _, err := s.loadForward(ctx, forwardID(id))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	for _, next := range to {
		if err == nil {
			err = s.remove(ctx, next)
		}
		if err == nil {
			err = s.endForwards(ctx, next)
		}
	}
	return err
}

// movedLately tells whether the session under the ID has moved a moment ago.
func (s *store) movedLately(ctx context.Context, id string) (bool, error) {
	if !s.forwards() {
		return false, nil
	}
	_, snap, err := s.loadForward(ctx, forwardID(id))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && snap.expiry.Sub(s.now()) > forwardFor-staleFor, err
}
