// Package owners keeps the lists by which an owner's sessions are found, and ends them.
//
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
package owners

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

const (
	// Slack is how much longer than its sessions a list lasts. So a session that
	// slides rarely has to make its list last longer.
	Slack = 7 * 24 * time.Hour
	// SettleFor is how long after its claim a session without a record may still be
	// about to be stored.
	SettleFor = 5 * time.Minute
	// endedFor is how long a generation lasts at least: longer than any request.
	endedFor = 24 * time.Hour
)

var (
	// ErrEnded means that all of the owner's sessions were ended after the sign-in had begun.
	ErrEnded = errors.New("session: ended")
	// ErrTooMany means that the owner has MaxPerOwner sessions already, with RefuseOverMax.
	ErrTooMany = errors.New("session: the owner has as many sessions as Options.MaxPerOwner allows")
)

// Records is the store of the lists, and of the sessions that they name. Its errors are those
// of package driver.
type Records interface {
	// Amend changes the text of a list by compare-and-swap. change is called with "" while
	// there is none, and again if another change came first.
	Amend(ctx context.Context, a Amendment, change func(text string) (string, error)) error
	// Text returns the text of a list, "" if there is none.
	Text(ctx context.Context, list string) (string, error)
	// Load returns what there is under the ID of a session. LoadMany leaves out what is not
	// there, and may leave out what cannot be read.
	Load(ctx context.Context, id string) (Session, error)
	LoadMany(ctx context.Context, ids []string) (map[string]Session, error)
	Delete(ctx context.Context, id string) error
	// PutTombstone keeps a session from being stored under a free ID until then.
	PutTombstone(ctx context.Context, id string, until time.Time) error
	// Ended hears of a session that was ended, because the owner has too many or not.
	Ended(ctx context.Context, id, owner string, tooMany bool)
}

// Amendment says which list is to be changed.
type Amendment struct {
	List  string    // its ID
	Until time.Time // until when it has to last, or zero
	Anew  bool      // one that nobody can read starts anew
	Seen  *Note     // as it was read before, or nil
}

// Note is a list as it was read.
type Note struct {
	Text    string
	Version any // by which its Records know it
}

// Session is what there is under one of the IDs that a list names.
type Session struct {
	Owner      string // or the one that it names, if it is from before owners
	Handle     Handle // "" of one from before owners
	Expired    bool
	Unreadable bool // by this server; another may know how
	Version    any  // by which its Records know it
}

func (s *Session) is(owner string, handle Handle) bool {
	return !s.Unreadable && s.Owner == owner && s.Handle == handle
}

// Lists are those of all owners.
type Lists struct {
	Records       Records
	Now           func() time.Time
	MaxPerOwner   int  // how many sessions an owner may have, 0 for any number
	RefuseOverMax bool // a sign-in beyond that is refused, instead of ending the oldest
}

// Claim is what is put on an owner's list before a session is stored.
type Claim struct {
	Place, Owner string
	Handle       Handle
	Until        time.Time // how long the list has to last
	IsNew        bool      // the owner signs in
	Adopts       bool      // the session is from before owners, and is not refused
	Began        *Note     // the list as it was when the sign-in began, nil if nobody can read it
}

// seen is the list as it was a moment ago, if that will do: what has ended since must not
// take anybody's place.
func (l Lists) seen(c *Claim) *Note {
	if l.MaxPerOwner > 0 {
		return nil
	}
	return c.Began
}

// Enter puts a session on the list, which has or will get these IDs: see Entry.add.
func (l Lists) Enter(ctx context.Context, c *Claim, id, next string) error {
	var evicted []Handle // by an earlier try
	a := Amendment{List: ID(c.Place, c.Owner), Until: c.Until, Anew: true, Seen: l.seen(c)}
	err := l.Records.Amend(ctx, a, func(text string) (string, error) {
		g, text := cutGeneration(text)
		if c.IsNew && !g.admits(c.Began, c.Handle) {
			return "", ErrEnded
		}
		list := parseList(text)
		i := slices.IndexFunc(list, func(e Entry) bool { return e.Handle == c.Handle })
		if i < 0 && c.IsNew {
			var err error
			if list, err = l.makeRoom(ctx, c, list, &evicted); err != nil {
				return "", err
			}
		}
		if i < 0 {
			i = len(list)
			list = append(list, Entry{Handle: c.Handle, Since: l.Now()})
		} else if c.IsNew {
			// An earlier try has failed, and somebody may be ending what it left. The list has
			// to change, so that they start again. Or it signs in again, and is now the newest.
			again := list[i]
			again.Since = time.UnixMilli(max(l.Now().UnixMilli(), again.Since.UnixMilli()+1))
			list = append(slices.Delete(list, i, i+1), again)
			i = len(list) - 1
		}
		list[i].add(id, next)
		return g.String() + formatList(list), nil
	})
	if err != nil && !errors.Is(err, ErrTooMany) && !errors.Is(err, ErrEnded) {
		return fmt.Errorf("owner: %w", err)
	}
	return err
}

// makeRoom drops what has ended from a list, and makes room for one more session. To
// look at all of them at each sign-in would cost ever more where there is no limit, so
// then it looks when the list has doubled.
func (l Lists) makeRoom(ctx context.Context, c *Claim, list []Entry, evicted *[]Handle) ([]Entry, error) {
	if n := len(list); l.MaxPerOwner == 0 && n&(n-1) != 0 {
		return list, nil
	}
	for _, h := range *evicted { // The list has changed since: it may have begun to move before that.
		if i := slices.IndexFunc(list, func(e Entry) bool { return e.Handle == h }); i >= 0 {
			if err := l.end(ctx, true, c.Owner, list[i]); err != nil {
				return nil, err
			}
			list = slices.Delete(list, i, i+1)
		}
	}
	found, err := l.find(ctx, c.Owner, list)
	if err != nil {
		return nil, err
	}
	for _, id := range found.expired { // A request that slides it right now would bring it back, unlisted.
		if err := l.Records.Delete(ctx, id); err != nil {
			return nil, err
		}
	}
	if len(found.expired) > 0 { // One that a request began in time may have moved on before that.
		again, err := l.find(ctx, c.Owner, list)
		if err != nil {
			return nil, err
		}
		maps.Copy(found.live, again.live)
	}
	list = slices.DeleteFunc(list, func(e Entry) bool {
		if _, ok := found.live[e.Handle]; ok || found.unread[e.Handle] {
			return false
		}
		return l.settled(e) || slices.ContainsFunc(e.ids, func(id string) bool { return slices.Contains(found.expired, id) })
	})
	for l.MaxPerOwner > 0 && len(list) >= l.MaxPerOwner {
		oldest := 0 // The list is in the order of sign-ins.
		if l.RefuseOverMax && !c.Adopts {
			// What nobody may ever read again must not keep its owner out.
			oldest = slices.IndexFunc(list, func(e Entry) bool { return found.unread[e.Handle] })
		}
		if oldest < 0 {
			return nil, ErrTooMany
		}
		if err := l.end(ctx, true, c.Owner, list[oldest]); err != nil {
			return nil, err
		}
		*evicted = append(*evicted, list[oldest].Handle)
		list = slices.Delete(list, oldest, oldest+1)
	}
	return list, nil
}

// settled reports whether nobody can be about to store the session any more.
func (l Lists) settled(e Entry) bool { return l.Now().Sub(e.Since) > SettleFor }

// found is what there is of the sessions on a list.
type found struct {
	live    map[Handle]Session
	unread  map[Handle]bool // the handles of those that this server cannot decode; another may
	expired []string        // the IDs of those that have expired, and are still there
}

// find looks up the sessions on a list. Since a store may load many records in any order, one
// that moves meanwhile may be missing under both of its IDs. It can move no further without a
// change of the list, so whoever is missing is looked up once more.
func (l Lists) find(ctx context.Context, owner string, list []Entry) (found, error) {
	f := found{live: make(map[Handle]Session, len(list)), unread: make(map[Handle]bool)}
	err := l.look(ctx, owner, list, &f)
	missing := slices.DeleteFunc(slices.Clone(list), func(e Entry) bool {
		_, live := f.live[e.Handle]
		return live || f.unread[e.Handle] || len(e.ids) < 2
	})
	if err == nil && len(missing) > 0 {
		err = l.look(ctx, owner, missing, &f)
	}
	return f, err
}

func (l Lists) look(ctx context.Context, owner string, list []Entry, f *found) error {
	sessions, err := l.Records.LoadMany(ctx, idsOf(list))
	for _, e := range list {
		for _, id := range e.ids {
			switch s, ok := sessions[id]; {
			case !ok:
			case s.Unreadable:
				f.unread[e.Handle] = f.unread[e.Handle] || !s.Expired
			case !s.is(owner, e.Handle):
			case s.Expired && slices.Contains(f.expired, id):
			case s.Expired:
				f.expired = append(f.expired, id)
			default:
				f.live[e.Handle] = s
			}
		}
	}
	return err
}

func idsOf(list []Entry) (ids []string) {
	for _, e := range list {
		ids = append(ids, e.ids...)
	}
	return ids
}

// Sessions returns an owner's list, in the order of sign-ins, and the live sessions on it. One
// that is not found may have moved since the list was read. Then the list has changed.
func (l Lists) Sessions(ctx context.Context, place, owner string) (list []Entry, live map[Handle]Session, err error) {
	text, err := l.text(ctx, place, owner)
	for err == nil {
		list = parseList(text)
		var f found
		f, err = l.find(ctx, owner, list)
		if live = f.live; err != nil || len(live) == len(list) {
			break
		}
		read := text
		if text, err = l.text(ctx, place, owner); err == nil && text == read {
			break
		}
	}
	return list, live, err
}

// Has reports whether the session is on its owner's list.
func (l Lists) Has(ctx context.Context, c *Claim) (bool, error) {
	text, err := l.text(ctx, c.Place, c.Owner)
	return slices.ContainsFunc(parseList(text), func(e Entry) bool { return e.Handle == c.Handle }), err
}

// text returns the lines of a list.
func (l Lists) text(ctx context.Context, place, owner string) (string, error) {
	text, err := l.Records.Text(ctx, ID(place, owner))
	_, lines := cutGeneration(text)
	return lines, err
}
