package txn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/flamego/session/driver"
)

// A session may have an owner, usually a user. The owner has a list of them: a record
// under an ID derived from the owner's name. Its lines are a session each: the handle,
// which stays the same for the session's whole life, the time of the sign-in, and the
// IDs under which the record may be found.
//
// A session is listed first and stored afterwards, so that what lives is listed. Who
// ends a session deletes the records under all its IDs, then takes it off the list by
// compare-and-swap. If the list has changed meanwhile, say by a rotation, it starts
// again. A session that was listed a moment ago may be about to be stored; a tombstone
// in its place prevents that.
//
// An ID has one owner for its whole life: a change of owner is a rotation.
//
// A sign-in that has begun, but is not listed yet, is what EndAll cannot see. So the first
// line of a list may be its generation, which each EndAll changes. A sign-in reads it when it
// begins, and is not listed if it has changed since.

const (
	// listSlack is how much longer than its sessions a list lasts. So a session that
	// slides rarely has to make its list last longer.
	listSlack = 7 * 24 * time.Hour
	// settleFor is how long after its claim a session without a record may still be
	// about to be stored.
	settleFor = 5 * time.Minute
	// endedFor is how long a generation lasts at least: longer than any request.
	endedFor = 24 * time.Hour
)

// ListAtSignIn returns the owner's list for a sign-in that begins.
func (s *Store) ListAtSignIn(ctx context.Context, place, owner string) (began *Version, err error) {
	began, err = s.load(ctx, listID(place, owner))
	switch {
	case errors.Is(err, driver.ErrNotFound):
		return unstored, nil
	case errors.Is(err, driver.ErrUnreadable):
		return nil, nil
	}
	return began, err
}

// claim is what a commit has to put on the owner's list before it stores anything.
type claim struct {
	place, owner string
	handle       Handle
	until        time.Time
	isNew        bool     // the owner signs in
	adopts       bool     // the session is from before owners, and is not refused
	began        *Version // the list as it was then
}

// seen is the list as it was a moment ago, if that will do: what has ended since must not
// take anybody's place.
func (s *Store) seen(l *claim) *Version {
	if s.MaxPerOwner > 0 {
		return nil
	}
	return l.began
}

// enter puts a session on the list, which has or will get these IDs: see Entry.add.
func (s *Store) enter(ctx context.Context, l *claim, id, next string) error {
	err := s.amend(ctx, note{id: listID(l.place, l.owner), key: listKey, expiry: l.until, anew: true, seen: s.seen(l)}, func(text string) (string, error) {
		g, text := cutGeneration(text)
		if l.isNew && !g.admits(l.began, l.handle) {
			return "", ErrEnded
		}
		list := parseList(text)
		i := slices.IndexFunc(list, func(e Entry) bool { return e.Handle == l.handle })
		if i < 0 && l.isNew {
			var err error
			if list, err = s.makeRoom(ctx, l, list); err != nil {
				return "", err
			}
		}
		if i < 0 {
			i = len(list)
			list = append(list, Entry{Handle: l.handle, Since: s.Now()})
		} else if l.isNew {
			// An earlier try has failed, and somebody may be ending what it left. The list has
			// to change, so that they start again. Or it signs in again, and is now the newest.
			again := list[i]
			again.Since = time.UnixMilli(max(s.Now().UnixMilli(), again.Since.UnixMilli()+1))
			list = append(slices.Delete(list, i, i+1), again)
			i = len(list) - 1
		}
		list[i].add(s.ref(id), s.ref(next))
		return g.String() + formatList(list), nil
	})
	if err != nil && !errors.Is(err, ErrTooMany) && !errors.Is(err, ErrEnded) {
		return fmt.Errorf("owner: %w", err)
	}
	return err
}

// reenter looks if a session that gets a later expiry is still on its owner's list, about once
// in a twentieth of its idle timeout. Where memory is short, a storage system may remove what
// nobody has used for long, which would be the list. It returns what it has put there again,
// or nil.
func (s *Store) reenter(ctx context.Context, v *Version, expiry time.Time) *claim {
	t, step := v.terms, int64(s.idle(v.terms)/20)
	if t.listed <= unlisted || v.Record.Expiry.UnixNano()/step == expiry.UnixNano()/step {
		return nil
	}
	l := &claim{place: t.place, owner: v.text(ownerKey), handle: v.handle(), until: time.UnixMilli(t.listed)}
	list, err := s.list(ctx, l.place, l.owner)
	if err == nil && !slices.ContainsFunc(list, func(e Entry) bool { return e.Handle == l.handle }) {
		if err = s.enter(ctx, l, v.ID, ""); err == nil {
			return l
		}
	}
	if err != nil {
		s.Report(ctx, fmt.Errorf("session: owner: %w", err)) // The session is there all the same.
	}
	return nil
}

// makeRoom drops what has ended from a list, and makes room for one more session. To
// look at all of them at each sign-in would cost ever more where there is no limit, so
// then it looks when the list has doubled.
func (s *Store) makeRoom(ctx context.Context, l *claim, list []Entry) ([]Entry, error) {
	if n := len(list); s.MaxPerOwner == 0 && n&(n-1) != 0 {
		return list, nil
	}
	found, err := s.liveOf(ctx, l.owner, list)
	if err != nil {
		return nil, err
	}
	for _, id := range found.expired { // A request that slides it right now would bring it back, unlisted.
		if err := s.delete(ctx, id); err != nil {
			return nil, err
		}
	}
	if len(found.expired) > 0 { // One that a request began in time may have moved on before that.
		again, err := s.liveOf(ctx, l.owner, list)
		if err != nil {
			return nil, err
		}
		maps.Copy(found.live, again.live)
	}
	list = slices.DeleteFunc(list, func(l Entry) bool {
		if _, ok := found.live[l.Handle]; ok || found.unread[l.Handle] {
			return false
		}
		return s.settled(l) || slices.ContainsFunc(l.ids, func(id string) bool { return slices.Contains(found.expired, id) })
	})
	for s.MaxPerOwner > 0 && len(list) >= s.MaxPerOwner {
		oldest := 0 // The list is in the order of sign-ins.
		if s.RefuseOverMax && !l.adopts {
			// What nobody may ever read again must not keep its owner out.
			oldest = slices.IndexFunc(list, func(l Entry) bool { return found.unread[l.Handle] })
		}
		if oldest < 0 {
			return nil, ErrTooMany
		}
		if err := s.endListed(ctx, Evicted, l.owner, list[oldest]); err != nil {
			return nil, err
		}
		list = slices.Delete(list, oldest, oldest+1)
	}
	return list, nil
}

// settled reports whether nobody can be about to store the session any more.
func (s *Store) settled(l Entry) bool { return s.Now().Sub(l.Since) > settleFor }

// found is what there is of the sessions on a list.
type found struct {
	live    map[Handle]*Version
	unread  map[Handle]bool // the handles of those that this server cannot decode; another may
	expired []string        // the IDs of those that have expired, and are still there
}

// liveOf looks up the sessions on a list.
func (s *Store) liveOf(ctx context.Context, owner string, list []Entry) (found, error) {
	var ids []string
	for _, l := range list {
		ids = append(ids, l.ids...)
	}
	versions, err := s.loadMany(ctx, ids)
	f := found{live: make(map[Handle]*Version, len(list)), unread: make(map[Handle]bool)}
	for _, l := range list {
		for _, id := range l.ids {
			switch v, ok := versions[id]; {
			case !ok:
			case v.View == nil:
				f.unread[l.Handle] = f.unread[l.Handle] || s.Now().Before(v.Record.Expiry)
			case !v.isOwnedBy(owner, l.Handle):
			case s.expired(v, s.Now()):
				f.expired = append(f.expired, id)
			default:
				f.live[l.Handle] = v
			}
		}
	}
	return f, err
}

// loadMany loads the records that there are, in one round trip if the engine can. Those that
// cannot be read have no View, or are left out.
func (s *Store) loadMany(ctx context.Context, ids []string) (map[string]*Version, error) {
	if e, ok := s.Engine.(ManyLoader); ok && len(ids) > 1 {
		begin := s.clock()
		found, err := e.LoadMany(ctx, ids)
		s.called(ctx, "load many", begin, err)
		for _, v := range found {
			v.terms = termsOf(v.View)
		}
		return found, err
	}
	found := make(map[string]*Version, len(ids))
	for _, id := range ids {
		v, err := s.load(ctx, id)
		switch {
		case err == nil, errors.Is(err, driver.ErrUnreadable) && v != nil:
			found[id] = v
		case !errors.Is(err, driver.ErrNotFound) && !errors.Is(err, driver.ErrUnreadable):
			return nil, err
		}
	}
	return found, nil
}

func (v *Version) text(key string) string {
	if v.View == nil {
		return ""
	}
	val, _ := v.View.Get(key)
	text, _ := val.(string)
	return text
}

func (v *Version) handle() Handle { return Handle(v.text(handleKey)) }

func (v *Version) isOwnedBy(owner string, handle Handle) bool {
	return v.text(ownerKey) == owner && v.handle() == handle
}

// Label is what the application calls the session, or "".
func (v *Version) Label() string { return v.text(LabelKey) }

// Owned is one of an owner's live sessions.
type Owned struct {
	Entry
	At *Version
}

// Sessions returns the live sessions of an owner, in the order of their sign-ins.
func (s *Store) Sessions(ctx context.Context, place, owner string) ([]Owned, error) {
	list, live, err := s.listLive(ctx, place, owner)
	if err != nil {
		return nil, err
	}
	var all []Owned
	for _, l := range list {
		if v, ok := live[l.Handle]; ok {
			all = append(all, Owned{l, v})
		}
	}
	return all, nil
}

// listLive returns a list, and the live sessions on it. One that is not found may have
// moved since the list was read. Then the list has changed.
func (s *Store) listLive(ctx context.Context, place, owner string) (list []Entry, live map[Handle]*Version, err error) {
	list, err = s.list(ctx, place, owner)
	for err == nil {
		var f found
		f, err = s.liveOf(ctx, owner, list)
		if live = f.live; err != nil || len(live) == len(list) {
			break
		}
		read := formatList(list)
		if list, err = s.list(ctx, place, owner); err == nil && formatList(list) == read {
			break
		}
	}
	return list, live, err
}

func (s *Store) list(ctx context.Context, place, owner string) ([]Entry, error) {
	v, err := s.load(ctx, listID(place, owner))
	if errors.Is(err, driver.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseList(v.terms.note), nil
}

// LastSeen is when the session was last accessed, less a twentieth of its idle timeout
// at most.
func (s *Store) LastSeen(o *Owned) time.Time {
	idle := s.idle(o.At.terms)
	seen := o.At.Record.Expiry.Add(-idle - idle/20)
	if seen.Before(o.Since) {
		return o.Since
	}
	return seen
}
