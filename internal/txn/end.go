package txn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flamego/session/driver"
)

var tombstone = (&Changes{flushed: true}).With(EndedKey, true)

// endListed deletes the records of sessions, and makes sure that none will be stored.
func (s *Store) endListed(ctx context.Context, k Kind, owner string, list ...Entry) error {
	var ids []string
	for _, l := range list {
		ids = append(ids, l.ids...)
	}
	found, err := s.loadMany(ctx, ids)
	if err != nil {
		return err
	}
	for _, l := range list {
		settled := s.settled(l)
		for _, id := range l.ids {
			if err := s.putTombstone(ctx, k, owner, l, id, found, settled); err != nil {
				return err
			}
			if _, ok := found[id]; ok {
				settled = false // It may be about to move to the next ID.
			}
		}
	}
	return nil
}

func (s *Store) putTombstone(ctx context.Context, k Kind, owner string, l Entry, id string, found map[string]*Version, settled bool) error {
	for try := 1; ; try++ {
		v, ok := found[id]
		var err error
		if !ok || v.View == nil || try > 1 {
			v, err = s.load(ctx, id)
		}
		switch {
		case err == nil && (v.isOwnedBy(owner, l.Handle) || s.named(ctx, v) == owner), errors.Is(err, driver.ErrUnreadable):
			if err := s.delete(ctx, id); err != nil {
				return err
			}
			s.Emit(ctx, Event{Kind: k, ID: id, Owner: owner, By: byManager})
			if settled {
				return nil
			} // Otherwise a sign-in or a move that was done by half may be tried again.
		case err == nil: // A tombstone, or a session that has no owner any more.
			return nil
		case !errors.Is(err, driver.ErrNotFound):
			return err
		case settled:
			return nil
		}
		_, err = s.create(ctx, id, tombstone, s.Now().Add(settleFor))
		if !errors.Is(err, driver.ErrExists) || try == createTries {
			return err
		}
	}
}

// hasTombstone reports whether the session that was to be stored under the ID has been
// ended before that.
func (s *Store) hasTombstone(ctx context.Context, id string) bool {
	v, err := s.load(ctx, id)
	return err == nil && v.View != nil && v.terms.isNote
}

// leaveList takes a session that has ended off the list.
func (s *Store) leaveList(ctx context.Context, place string, v *Version) {
	if v.View == nil || v.terms.listed == 0 {
		return
	}
	l := &claim{place: place, owner: v.text(ownerKey), handle: v.handle()}
	s.amendEntry(ctx, l, func(ids []string) []string {
		last := -1 // A rotation that failed may have left something behind it.
		for i, id := range ids {
			if id == s.ref(v.ID) || id == v.ID { // As it is listed before Options.HashIDs.
				last = i
			}
		}
		return ids[last+1:]
	})
}

// withdraw takes IDs off the list that were put there for nothing: the session is not there,
// or not the owner's.
func (s *Store) withdraw(ctx context.Context, l *claim, id, next string) {
	ids := slices.DeleteFunc([]string{s.ref(id), s.ref(next)}, func(id string) bool { return id == "" })
	found, err := s.loadMany(ctx, ids)
	if err != nil {
		s.Report(ctx, fmt.Errorf("session: owner: %w", err))
		return
	}
	s.amendEntry(ctx, l, func(listed []string) []string {
		return slices.DeleteFunc(slices.Clone(listed), func(id string) bool {
			v, ok := found[id]
			return slices.Contains(ids, id) && (!ok || !v.isOwnedBy(l.owner, l.handle))
		})
	})
}

// amendEntry takes IDs off a line of a list, and the line if none is left. If that fails,
// they stand there until somebody looks.
func (s *Store) amendEntry(ctx context.Context, l *claim, change func(ids []string) []string) {
	err := s.amend(ctx, note{id: listID(l.place, l.owner), key: listKey}, func(text string) (string, error) {
		g, text := cutGeneration(text)
		list := parseList(text)
		if i := slices.IndexFunc(list, func(e Entry) bool { return e.Handle == l.handle }); i >= 0 {
			list[i].ids = change(list[i].ids)
		}
		return g.String() + formatList(slices.DeleteFunc(list, func(e Entry) bool { return len(e.ids) == 0 })), nil
	})
	if err != nil {
		s.Report(ctx, fmt.Errorf("session: owner: %w", err))
	}
}

// endAtOnce is how many sessions are ended before the list is written. What has ended
// is then off the list, even if time runs out before the rest.
const endAtOnce = 50

// EndOne ends one of the owner's sessions, and reports whether it was on the list.
func (s *Store) EndOne(ctx context.Context, place, owner string, handle Handle) (bool, error) {
	n, err := s.endOwned(ctx, place, owner, time.Time{}, func(g generation) generation { return g }, func(h Handle) bool { return h == handle })
	return n > 0, err
}

// EndAll ends all of the owner's sessions but those with the handles.
func (s *Store) EndAll(ctx context.Context, place, owner string, except []Handle) error {
	_, err := s.endOwned(ctx, place, owner, s.Now().Add(endedFor), func(g generation) generation { return g.next(except) },
		func(h Handle) bool { return !slices.Contains(except, h) })
	return err
}

// endOwned ends those of the owner's sessions that match, and returns how many were on
// the list, which then lasts until the expiry at least.
func (s *Store) endOwned(ctx context.Context, place, owner string, expiry time.Time, next func(generation) generation, match func(Handle) bool) (n int, err error) {
	for first := true; ; first = false {
		ended := 0
		err = s.amend(ctx, note{id: listID(place, owner), key: listKey, expiry: expiry}, func(text string) (string, error) {
			g, text := cutGeneration(text)
			if first {
				g = next(g)
			}
			var stay, end []Entry
			for _, l := range parseList(text) {
				if len(end) < endAtOnce && match(l.Handle) {
					end = append(end, l)
				} else {
					stay = append(stay, l)
				}
			}
			ended = len(end)
			return g.String() + formatList(stay), s.endListed(ctx, Ended, owner, end...)
		})
		if n += ended; err != nil || ended < endAtOnce {
			return n, err
		}
	}
}
