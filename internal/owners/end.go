package owners

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/flamego/session/driver"
)

// end deletes the records of sessions, and makes sure that none will be stored.
func (l Lists) end(ctx context.Context, tooMany bool, owner string, list ...Entry) error {
	found, err := l.Records.LoadMany(ctx, idsOf(list))
	if err != nil {
		return err
	}
	for _, e := range list {
		settled := l.settled(e)
		// One that is nowhere may have been ended by an earlier try, while it was about to move.
		nowhere := !slices.ContainsFunc(e.ids, func(id string) bool { _, ok := found[id]; return ok })
		for _, id := range e.ids {
			if err := l.endAt(ctx, tooMany, owner, e, id, found, settled); err != nil {
				return err
			}
			if _, ok := found[id]; ok || nowhere {
				settled = false // It may be about to move to the next ID.
			}
		}
	}
	return nil
}

// endTries bounds the attempts to end what somebody stores again and again. More than one
// is rarely needed.
const endTries = 5

func (l Lists) endAt(ctx context.Context, tooMany bool, owner string, e Entry, id string, found map[string]Session, settled bool) error {
	for try := 1; ; try++ {
		s, ok := found[id]
		var err error
		if !ok || s.Unreadable || try > 1 {
			s, err = l.Records.Load(ctx, id)
		}
		switch {
		case err == nil && (s.is(owner, e.Handle) || s.is(owner, "")), errors.Is(err, driver.ErrUnreadable):
			if err := l.Records.Delete(ctx, id); err != nil {
				return err
			}
			l.Records.Ended(ctx, id, owner, tooMany)
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
		err = l.Records.PutTombstone(ctx, id, l.Now().Add(SettleFor))
		if !errors.Is(err, driver.ErrExists) || try == endTries {
			return err
		}
	}
}

// Leave takes a session that has ended off the list, given the names that its ID may have
// there.
func (l Lists) Leave(ctx context.Context, c *Claim, names ...string) error {
	return l.amendEntry(ctx, c, func(ids []string) []string {
		last := -1 // A rotation that failed may have left something behind it.
		for i, id := range ids {
			if slices.Contains(names, id) {
				last = i
			}
		}
		return ids[last+1:]
	})
}

// Withdraw takes IDs off the list that were put there for nothing: the session is not there,
// or not the owner's.
func (l Lists) Withdraw(ctx context.Context, c *Claim, id, next string) error {
	ids := slices.DeleteFunc([]string{id, next}, func(id string) bool { return id == "" })
	found, err := l.Records.LoadMany(ctx, ids)
	if err != nil {
		return err
	}
	return l.amendEntry(ctx, c, func(listed []string) []string {
		return slices.DeleteFunc(slices.Clone(listed), func(id string) bool {
			s, ok := found[id]
			return slices.Contains(ids, id) && (!ok || !s.is(c.Owner, c.Handle))
		})
	})
}

// amendEntry takes IDs off a line of a list, and the line if none is left.
func (l Lists) amendEntry(ctx context.Context, c *Claim, change func(ids []string) []string) error {
	return l.Records.Amend(ctx, Amendment{List: ID(c.Place, c.Owner)}, func(text string) (string, error) {
		g, text := cutGeneration(text)
		list := parseList(text)
		if i := slices.IndexFunc(list, func(e Entry) bool { return e.Handle == c.Handle }); i >= 0 {
			list[i].ids = change(list[i].ids)
		}
		return g.String() + formatList(slices.DeleteFunc(list, func(e Entry) bool { return len(e.ids) == 0 })), nil
	})
}

// AtOnce is how many sessions are ended before the list is written. What has ended
// is then off the list, even if time runs out before the rest.
const AtOnce = 50

// EndOne ends one of the owner's sessions, and reports whether it was on the list.
func (l Lists) EndOne(ctx context.Context, place, owner string, handle Handle) (bool, error) {
	n, err := l.endThose(ctx, place, owner, time.Time{}, func(g generation) generation { return g }, func(h Handle) bool { return h == handle })
	return n > 0, err
}

// EndAll ends all of the owner's sessions but those with the handles.
func (l Lists) EndAll(ctx context.Context, place, owner string, except []Handle) error {
	_, err := l.endThose(ctx, place, owner, l.Now().Add(endedFor), func(g generation) generation { return g.next(except) },
		func(h Handle) bool { return !slices.Contains(except, h) })
	return err
}

// endThose ends those of the owner's sessions that match, and returns how many were on
// the list, which then lasts until the expiry at least.
func (l Lists) endThose(ctx context.Context, place, owner string, until time.Time, next func(generation) generation, match func(Handle) bool) (n int, err error) {
	for first := true; ; first = false {
		ended := 0
		err = l.Records.Amend(ctx, Amendment{List: ID(place, owner), Until: until}, func(text string) (string, error) {
			g, text := cutGeneration(text)
			if first {
				g = next(g)
			}
			var stay, end []Entry
			for _, e := range parseList(text) {
				if len(end) < AtOnce && match(e.Handle) {
					end = append(end, e)
				} else {
					stay = append(stay, e)
				}
			}
			ended = len(end)
			return g.String() + formatList(stay), l.end(ctx, false, owner, end...)
		})
		if n += ended; err != nil || ended < AtOnce {
			return n, err
		}
	}
}
