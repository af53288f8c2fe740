package txn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flamego/session/driver"
)

// note is a record of the library's own, whose text is under the key.
type note struct {
	id, key string
	expiry  time.Time // until when it has to last, or zero
	anew    bool      // one that nobody can read starts anew
	seen    *Version  // as it was loaded before, or nil
}

var tombstone = (&Changes{flushed: true}).With(EndedKey, true)

// hasTombstone reports whether the session that was to be stored under the ID has been
// ended before that.
func (s *Store) hasTombstone(ctx context.Context, id string) bool {
	v, err := s.load(ctx, id)
	return err == nil && v.View != nil && v.terms.isNote
}

// amend changes the text of a note, which is "" while there is none.
func (s *Store) amend(ctx context.Context, n note, change func(text string) (string, error)) error {
	var turn turn
	defer turn.end()
	for {
		old, err := n.seen, error(nil)
		if n.seen = nil; old == nil {
			old, err = s.load(ctx, n.id)
		}
		switch {
		case errors.Is(err, driver.ErrNotFound):
			old = unstored
		case err == nil:
		case n.anew && errors.Is(err, driver.ErrUnreadable) && old != nil:
			s.Report(ctx, fmt.Errorf("session: owner: a list starts anew: %w", err)) // Nobody could sign in until it expires.
		default:
			return err
		}
		text, err := change(old.terms.note)
		if err != nil || text == old.terms.note && !n.expiry.After(old.Record.Expiry) {
			return err
		}
		ch := &Changes{}
		ch.Set(n.key, text)
		switch {
		case old == unstored:
			_, err = s.create(ctx, n.id, ch, n.expiry)
		case old.Record.Expiry.After(n.expiry):
			_, err = s.replace(ctx, old, ch, old.Record.Expiry)
		default:
			_, err = s.replace(ctx, old, ch, n.expiry)
		}
		if !errors.Is(err, driver.ErrExists) && !errors.Is(err, driver.ErrConflict) {
			return err
		}
		if err := turn.wait(ctx, s, n.id); err != nil {
			return err
		}
	}
}
