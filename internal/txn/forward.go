package txn

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"
	"time"

	"github.com/flamego/session/driver"
)

// A rotation leaves a forward: a record under an ID derived from the old one, which
// names the new one. It is stored before the session moves, for two purposes.
//
// A request that signs out may know only the old ID. Its Delete of the old record
// either comes before the move, which then conflicts, or finds the forward, and deletes
// the session that it names as well.
//
// A request that arrives with the old ID finds no session. What it sets must not go
// into a new session, whose cookie would replace that of the one that moved.
//
// A forward never signs anybody in, and no client can present its ID as a session: a
// stolen or planted old ID is worth nothing.

const (
	forwardFor = 5 * time.Minute
	// staleFor is how long the changes of a request with the old ID are dropped. After
	// that, a client that did not get the response to the rotation can start again.
	staleFor = 10 * time.Second
)

func (s *Store) forwardID(id string) string { return derivedID("forward " + s.ref(id)) }

// ref is how the library's own records name a session.
func (s *Store) ref(id string) string {
	if e, ok := s.Engine.(Namer); ok {
		return e.Ref(id)
	}
	return id
}

// derivedID is the ID of a record of the library's own.
func derivedID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
}

// forward adds newID to the forward of id, next to the IDs that racing rotations of the
// same session have added.
func (s *Store) forward(ctx context.Context, id, newID string) error {
	if !s.Traits.OwnRecords {
		return nil
	}
	at, expiry, ch := s.forwardID(id), s.Now().Add(forwardFor), &Changes{}
	newID = s.ref(newID)
	ch.Set(forwardKey, newID)
	_, err := s.create(ctx, at, ch, expiry)
	if errors.Is(err, driver.ErrExists) {
		err = s.amend(ctx, at, forwardKey, expiry, func(text string) (string, error) {
			return strings.Join(append(strings.Fields(text), newID), " "), nil
		})
	}
	return err
}

// forwards returns the IDs in the forward of id, none if there is no forward.
func (s *Store) forwards(ctx context.Context, id string) ([]string, error) {
	if !s.Traits.OwnRecords {
		return nil, nil
	}
	forward, err := s.load(ctx, s.forwardID(id))
	if errors.Is(err, driver.ErrNotFound) {
		err = nil
	}
	return strings.Fields(forward.terms.note), err
}

// end deletes a session, and follows its forward to those that it has moved to.
func (s *Store) end(ctx context.Context, id string) error {
	err := s.Engine.Delete(ctx, id)
	if err != nil {
		return err
	}
	to, err := s.forwards(ctx, id)
	for _, next := range to {
		if err == nil {
			err = s.end(ctx, next)
		}
	}
	return err
}

// movedLately reports whether the session has left this ID a moment ago.
func (s *Store) movedLately(ctx context.Context, id string) (bool, error) {
	if !s.Traits.OwnRecords {
		return false, nil
	}
	forward, err := s.load(ctx, s.forwardID(id))
	if errors.Is(err, driver.ErrNotFound) {
		return false, nil
	}
	return err == nil && forward.Record.Expiry.Sub(s.Now()) > forwardFor-staleFor, err
}
