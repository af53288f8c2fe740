package txn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
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

// Handle names a session among those of its owner. It stays the same for the session's whole
// life. A page may show it: nobody can sign in with it, unlike a Token.
type Handle string

// Entry is one line of an owner's list.
type Entry struct {
	Handle Handle
	Since  time.Time
	ids    []string
}

// generation is the first line of a list.
type generation struct {
	now    string   // "" if nobody has ended all for a long time
	before string   // the one before
	except []Handle // the handles that the last EndAll has spared, also those that were not listed yet
}

const generationMark = "#"

// cutGeneration parts the generation from the lines of sessions.
func cutGeneration(text string) (g generation, lines string) {
	if !strings.HasPrefix(text, generationMark) {
		return g, text
	}
	first, lines, _ := strings.Cut(text[len(generationMark):], "\n")
	f := append(strings.Split(first, ","), "")
	g.now, g.before, g.except = f[0], f[1], handlesOf(slices.DeleteFunc(f[2:], func(h string) bool { return h == "" }))
	return g, lines
}

func handlesOf(texts []string) (all []Handle) {
	for _, text := range texts {
		all = append(all, Handle(text))
	}
	return all
}

func (g generation) String() string {
	if g.now == "" {
		return ""
	}
	fields := []string{g.now, g.before}
	for _, h := range g.except {
		fields = append(fields, string(h))
	}
	return generationMark + strings.Join(fields, ",") + "\n"
}

// next is the generation after an EndAll.
func (g generation) next(except []Handle) generation {
	except = slices.DeleteFunc(slices.Clone(except), func(h Handle) bool { return !driver.ValidID(string(h)) })
	if len(except) > 0 && slices.Equal(except, g.except) { // It is tried again.
		return generation{NewID(generationLength), g.before, except}
	}
	return generation{NewID(generationLength), g.now, except}
}

const generationLength = 16

// admits reports whether a sign-in still stands that began when the list was that.
func (g generation) admits(began *Version, handle Handle) bool {
	then := ""
	if began != nil {
		old, _ := cutGeneration(began.terms.note)
		then = old.now
	}
	return g.now == "" || g.now == then || g.before == then && slices.Contains(g.except, handle)
}

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

func parseList(text string) (list []Entry) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		ids := slices.DeleteFunc(f[2:], func(id string) bool { return !driver.ValidID(id) }) // Who can write to the storage can write anything.
		ms, _ := strconv.ParseInt(f[1], 10, 64)
		list = append(list, Entry{Handle: Handle(f[0]), Since: time.UnixMilli(ms), ids: ids})
	}
	return list
}

func formatList(list []Entry) string {
	var b strings.Builder
	for _, l := range list {
		fmt.Fprintln(&b, l.Handle, l.Since.UnixMilli(), strings.Join(l.ids, " "))
	}
	return b.String()
}

// add adds the ID that a session has, and the one that it will get, either of them if
// not "". The latter stands last, also if it was there before: see leaveList. What stands in
// front of the former is where the session came from: nothing can be found there any more.
func (l *Entry) add(id, next string) {
	ids := slices.DeleteFunc(slices.Clone(l.ids), func(old string) bool { return old == next })
	switch i := slices.Index(ids, id); {
	case id == "":
	case i < 0:
		ids = slices.Insert(ids, 0, id)
	default:
		ids = ids[i:]
	}
	if next != "" {
		ids = append(ids, next)
	}
	l.ids = ids
}

func listID(place, owner string) string { return ownID("owner " + place + "\x00" + owner) }

// note is a record of the library's own, whose text is under the key.
type note struct {
	id, key string
	expiry  time.Time // until when it has to last, or zero
	anew    bool      // one that nobody can read starts anew
	seen    *Version  // as it was loaded before, or nil
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
