package txn

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"slices"
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
// A renewal, which is a rotation by time, leaves a forward that also has a salt. The new
// ID is derived from the old one and the salt, so requests that still bring the old ID
// find the session for a while. Nobody else can: the storage has the salt, not the IDs.
//
// Any other forward never signs anybody in, and no client can present its ID as a session: a
// stolen or planted old ID is worth nothing.

const (
	forwardFor = 5 * time.Minute
	// RenewAtLeast is the shortest Store.RenewEvery: a forward leads over one renewal.
	RenewAtLeast = forwardFor
	// staleFor is how long the changes of a request with the old ID are dropped, or after
	// a renewal, its client is not told the new ID. After that, a client that did not get
	// the response to the rotation can start again.
	staleFor = 10 * time.Second
)

func (s *Store) forwardID(id string) string { return ownID("forward " + s.ref(id)) }

// ref is how the library's own records name a session.
func (s *Store) ref(id string) string {
	if e, ok := s.Engine.(Namer); ok && id != "" {
		return e.Ref(id)
	}
	return id
}

// forward adds newID to the forward of id, next to the IDs that racing rotations of the
// same session have added. salt is that of a renewal, or "".
func (s *Store) forward(ctx context.Context, id, newID, salt string) error {
	if !s.Traits.OwnRecords {
		return nil
	}
	newID = s.ref(newID)
	if salt != "" {
		newID += saltMark + salt
	}
	return s.addToForward(ctx, id, newID)
}

// addToForward adds a word to the forward of id, unless it is there.
func (s *Store) addToForward(ctx context.Context, id, word string) error {
	at, expiry := s.forwardID(id), s.Now().Add(forwardFor)
	_, err := s.create(ctx, at, (&Changes{}).With(forwardKey, word), expiry)
	if errors.Is(err, driver.ErrExists) {
		err = s.amend(ctx, note{id: at, key: forwardKey, expiry: expiry, anew: true}, func(text string) (string, error) {
			words := strings.Fields(text)
			if slices.Contains(words, word) {
				return text, nil
			}
			return strings.Join(append(words, word), " "), nil
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

// forwarded is what a forward says.
type forwarded struct {
	to    []target // where the session may have moved
	ended bool     // it was ended under the old ID
}

// target is an ID, and the salt of a renewal, or "".
type target struct{ id, salt string }

// parseForward leaves out what is no ID: who can write to the storage can write anything.
func parseForward(text string) (f forwarded) {
	for _, word := range strings.Fields(text) {
		id, salt, renewed := strings.Cut(word, saltMark)
		f.ended = f.ended || word == endMark
		if driver.ValidID(id) && (!renewed || driver.ValidID(salt)) {
			f.to = append(f.to, target{id, salt})
		}
	}
	return f
}

// forwards returns what the forward of id says, nothing if there is none.
func (s *Store) forwards(ctx context.Context, id string) (f forwarded, err error) {
	if !s.Traits.OwnRecords {
		return f, nil
	}
	forward, err := s.load(ctx, s.forwardID(id))
	if isLost(err) {
		return f, nil
	}
	if err == nil {
		f = parseForward(forward.terms.note)
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
	return s.addToForward(ctx, id, endMark)
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
	t := trail{ids: []string{id}}
	for i := 0; i < len(t.ids); i++ {
		v, err := s.load(ctx, t.ids[i])
		switch {
		case err == nil && v.terms.isNote: // A tombstone.
			return beyond, nil
		case err == nil:
			return min(here+i, beyond), nil
		case !isLost(err):
			return nowhere, err
		}
		f, err := s.forwards(ctx, t.ids[i])
		if err != nil {
			return nowhere, err
		}
		if f.ended {
			return beyond, nil
		}
		t.follow(f)
	}
	return nowhere, nil
}

// trail are the IDs that a session has had, each twice at most: a session may move to an ID
// after that was looked at, but somebody who can write to the storage may have made forwards
// that lead in a circle.
type trail struct {
	ids  []string
	seen map[string]int
}

func (t *trail) follow(f forwarded) {
	if t.seen == nil && len(f.to) > 0 {
		t.seen = map[string]int{t.ids[0]: 1}
	}
	for _, to := range f.to {
		if t.seen[to.id] < 2 {
			t.seen[to.id]++
			t.ids = append(t.ids, to.id)
		}
	}
}

// isLost reports whether there is no such record, or none that anybody will ever read.
func isLost(err error) bool {
	return errors.Is(err, driver.ErrNotFound) || errors.Is(err, driver.ErrUnreadable)
}

const (
	saltMark = "~"
	endMark  = "-" // no ID
)

// renewedID is the ID of a session that is renewed under a salt of the same length.
func renewedID(old, salt string) string {
	b, err := hkdf.Key(sha256.New, []byte(old), []byte(salt), "renewed session ID", len(salt))
	if err != nil {
		panic("session: renew: " + err.Error()) // A salt has 128 characters at most.
	}
	return letter(b)
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
		forward := f.forward
		if forward == nil || forward.View == nil {
			return nil, driver.ErrNotFound
		}
		said := parseForward(forward.terms.note)
		if said.ended { // What is found all the same is the copy of a move that has failed.
			return nil, driver.ErrNotFound
		}
		n, rotated := 0, []string(nil)
		for _, to := range said.to {
			if to.salt == "" || s.Now().After(forward.Record.Expiry) {
				rotated = append(rotated, to.id)
				continue
			}
			v, err := s.Find(ctx, renewedID(f.ID, to.salt))
			switch {
			case err == nil:
				v.Superseded = s.isRecent(forward)
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
	t := trail{ids: []string{v.ID}}
	for i := 0; i < len(t.ids); i++ {
		was := v
		if i > 0 {
			was, _ = s.load(ctx, t.ids[i])
		}
		if err := s.markEnded(ctx, t.ids[i]); err != nil {
			return err
		}
		if err := s.delete(ctx, t.ids[i]); err != nil {
			return err
		}
		if was == nil && s.movesInSteps() { // It may be about to move there.
			if _, err := s.create(ctx, t.ids[i], tombstone, s.Now().Add(settleFor)); err != nil && !errors.Is(err, driver.ErrExists) {
				return err
			}
		}
		f, err := s.forwards(ctx, t.ids[i])
		if err != nil {
			return err
		}
		t.follow(f)
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
func (s *Store) hasMovedLately(forward *Version) bool {
	return s.isRecent(forward) && len(parseForward(forward.terms.note).to) > 0
}

func (s *Store) isRecent(forward *Version) bool {
	return forward.Record.Expiry.Sub(s.Now()) > forwardFor-staleFor
}
