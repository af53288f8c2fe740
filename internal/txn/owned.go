package txn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/owners"
)

// lists are the owners' lists in this Store. What an owner's list names are its own records:
// see ref.
func (s *Store) lists() owners.Lists {
	return owners.Lists{Records: records{s}, Now: s.Now, MaxPerOwner: s.MaxPerOwner, RefuseOverMax: s.RefuseOverMax}
}

// records are what a Store is to its owners' lists.
type records struct{ store *Store }

func (r records) Amend(ctx context.Context, a owners.Amendment, change func(string) (string, error)) error {
	n := note{id: a.List, key: listKey, expiry: a.Until, anew: a.Anew}
	if a.Seen != nil {
		n.seen, _ = a.Seen.Version.(*Version)
	}
	return r.store.amend(ctx, n, change)
}

func (r records) Text(ctx context.Context, list string) (string, error) {
	v, err := r.store.load(ctx, list)
	switch {
	case errors.Is(err, driver.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	}
	return v.terms.note, nil
}

func (r records) Load(ctx context.Context, id string) (owners.Session, error) {
	v, err := r.store.load(ctx, id)
	if err != nil {
		return owners.Session{}, err
	}
	return r.session(ctx, v), nil
}

func (r records) LoadMany(ctx context.Context, ids []string) (map[string]owners.Session, error) {
	found, err := r.store.loadMany(ctx, ids)
	sessions := make(map[string]owners.Session, len(found))
	for id, v := range found {
		sessions[id] = r.session(ctx, v)
	}
	return sessions, err
}

func (r records) session(ctx context.Context, v *Version) owners.Session {
	if v.View == nil {
		return owners.Session{Unreadable: true, Expired: !r.store.Now().Before(v.Record.Expiry)}
	}
	return owners.Session{Owner: r.store.ownerOf(ctx, v), Handle: v.handle(), Expired: r.store.expired(v, r.store.Now()), Version: v}
}

func (r records) Delete(ctx context.Context, id string) error { return r.store.delete(ctx, id) }

func (r records) PutTombstone(ctx context.Context, id string, until time.Time) error {
	_, err := r.store.create(ctx, id, tombstone, until)
	return err
}

func (r records) Ended(ctx context.Context, id, owner string, tooMany bool) {
	e := Event{Kind: Ended, ID: id, Owner: owner, By: byManager}
	if tooMany {
		e.Kind = Evicted
	}
	r.store.Emit(ctx, e)
}

// ListAtSignIn returns the owner's list for a sign-in that begins.
func (s *Store) ListAtSignIn(ctx context.Context, place, owner string) (began *owners.Note, err error) {
	v, err := s.load(ctx, owners.ID(place, owner))
	switch {
	case errors.Is(err, driver.ErrNotFound):
		v = unstored
	case errors.Is(err, driver.ErrUnreadable):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &owners.Note{Text: v.terms.note, Version: v}, nil
}

// enter puts a session on its owner's list, which has or will get these IDs.
func (s *Store) enter(ctx context.Context, c *owners.Claim, id, next string) error {
	return s.lists().Enter(ctx, c, s.ref(id), s.ref(next))
}

// withdraw takes IDs off the list that were put there for nothing. If that fails, they stand
// there until somebody looks.
func (s *Store) withdraw(ctx context.Context, c *owners.Claim, id, next string) {
	s.reportOwner(ctx, s.lists().Withdraw(ctx, c, s.ref(id), s.ref(next)))
}

// leaveList takes a session that has ended off the list. If that fails, it stands there until
// somebody looks.
func (s *Store) leaveList(ctx context.Context, place string, v *Version) {
	if v.View == nil || v.terms.listed == 0 {
		return
	}
	c := v.claim(time.Time{})
	c.Place = place
	s.reportOwner(ctx, s.lists().Leave(ctx, c, s.ref(v.ID), v.ID)) // The latter is how it is listed before Options.HashIDs.
}

func (s *Store) reportOwner(ctx context.Context, err error) {
	if err != nil {
		s.Report(ctx, fmt.Errorf("session: owner: %w", err))
	}
}

// reenter looks if a session that gets a later expiry is still on its owner's list, about once
// in a twentieth of its idle timeout. Where memory is short, a storage system may remove what
// nobody has used for long, which would be the list. It returns what it has put there again,
// or nil.
func (s *Store) reenter(ctx context.Context, v *Version, expiry time.Time) *owners.Claim {
	t, step := v.terms, int64(s.idle(v.terms)/20)
	if t.listed <= unlisted || v.Record.Expiry.UnixNano()/step == expiry.UnixNano()/step {
		return nil
	}
	c := v.claim(time.UnixMilli(t.listed))
	listed, err := s.lists().Has(ctx, c)
	if err == nil && !listed {
		if err = s.enter(ctx, c, v.ID, ""); err == nil {
			return c
		}
	}
	s.reportOwner(ctx, err) // The session is there all the same.
	return nil
}

// claim is the place that a session has on its owner's list.
func (v *Version) claim(until time.Time) *owners.Claim {
	return &owners.Claim{Place: v.terms.place, Owner: v.text(ownerKey), Handle: v.handle(), Until: until}
}

// ownerOf is the owner of a session, or the one that it names.
func (s *Store) ownerOf(ctx context.Context, v *Version) string {
	return cmp.Or(v.text(ownerKey), s.named(ctx, v))
}

func (v *Version) text(key string) string {
	if v.View == nil {
		return ""
	}
	val, _ := v.View.Get(key)
	text, _ := val.(string)
	return text
}

func (v *Version) handle() owners.Handle { return owners.Handle(v.text(handleKey)) }

func (v *Version) isOf(c *owners.Claim) bool {
	return v.text(ownerKey) == c.Owner && v.handle() == c.Handle
}

// Label is what the application calls the session, or "".
func (v *Version) Label() string { return v.text(LabelKey) }

// Owned is one of an owner's live sessions.
type Owned struct {
	owners.Entry
	At *Version
}

// Sessions returns the live sessions of an owner, in the order of their sign-ins.
func (s *Store) Sessions(ctx context.Context, place, owner string) ([]Owned, error) {
	list, live, err := s.lists().Sessions(ctx, place, owner)
	if err != nil {
		return nil, err
	}
	var all []Owned
	for _, e := range list {
		if l, ok := live[e.Handle]; ok {
			all = append(all, Owned{e, l.Version.(*Version)})
		}
	}
	return all, nil
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

// EndOne ends one of the owner's sessions, and reports whether it was on the list.
func (s *Store) EndOne(ctx context.Context, place, owner string, handle owners.Handle) (bool, error) {
	return s.lists().EndOne(ctx, place, owner, handle)
}

// EndAll ends all of the owner's sessions but those with the handles.
func (s *Store) EndAll(ctx context.Context, place, owner string, except []owners.Handle) error {
	return s.lists().EndAll(ctx, place, owner, except)
}
