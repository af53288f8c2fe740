package txn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flamego/session/internal/owners"
)

// A commit that stores an owner's session under an ID that nobody could find it by puts that on
// the owner's list first, as a claim: see prepare. Afterwards settleList takes back what is
// not so.

// SetOwner says whose session it is, or that it is nobody's if owner is "". handle is
// its name on the owner's list. Unless newID is "", a new owner's session moves there. began
// is the owner's ListAtSignIn.
func (s *Session) SetOwner(owner string, handle owners.Handle, newID string, began *owners.Note) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.life
	switch old, _ := l.get(ownerKey); {
	case old == nil && owner == "":
		return nil
	case old == any(owner):
		if _, known := l.pending.get(ownerKey); !known {
			l.changes().owner = owner // If another request signs out meanwhile, this one has come first.
		}
		return nil
	}
	l.changes().owner = nil
	if owner == "" {
		for _, key := range ownerKeys {
			s.edit().Delete(key)
		}
		return nil
	}
	if s.sealed {
		return ErrLateID
	}
	if newID != "" && l.phase != regenerated && l.phase != moving {
		s.rotate(newID)
	}
	if l = s.life; l.at.text(ownerKey) == owner {
		handle = owners.Handle(l.at.text(handleKey)) // Signing in again makes no more sessions.
	}
	ch := s.edit()
	ch.began = began
	ch.Set(ownerKey, owner)
	ch.Set(handleKey, string(handle))
	if l.at.terms.created != 0 { // Who signs in gets the full time, whatever a cart has used up.
		ch.Set(CreatedKey, s.store.Now().UnixMilli())
	}
	ch.Set(listedKey, int64(unlisted)) // The commit sets it: see stamp.
	return nil
}

// Owner returns the owner and the handle, or "".
func (s *Session) Owner() (owner string, handle owners.Handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	val, _ := s.life.get(ownerKey)
	owner, _ = val.(string)
	val, _ = s.life.get(handleKey)
	text, _ := val.(string)
	return owner, owners.Handle(text)
}

// claim returns what the plan has to put on the owner's list, or nil. It needs mu.
func (s *Session) claim(l *life, p *plan) *owners.Claim {
	t := l.at.terms.with(l.pending)
	if t.listed == 0 {
		return nil
	}
	if _, relisted := l.pending.get(listedKey); p.next == "" && !relisted {
		return nil
	}
	text := func(key string) string { val, _ := l.get(key); text, _ := val.(string); return text }
	_, isNew := l.pending.get(ownerKey)
	return &owners.Claim{Place: s.host.Place(), Owner: text(ownerKey), Handle: owners.Handle(text(handleKey)), Until: time.UnixMilli(t.listed), IsNew: isNew, Began: l.pending.began}
}

// leaves is the ID of the session as the owner's list has it. What belonged to another
// owner, or to nobody, is not on the list.
func (p *plan) leaves(id string) string {
	if p.next != "" && p.claim.IsNew {
		return ""
	}
	return id
}

// adopted is for a session that another request has put on a list since this one has loaded it,
// and that is about to move: the list has to have its new ID.
func (s *Session) adopted(ctx context.Context, p *plan, at *Version, ch *Changes, next string, prepared bool) error {
	t := at.terms.with(ch)
	if p.claim != nil || next == "" || t.listed <= unlisted {
		return nil
	}
	p.claim = at.claim(time.UnixMilli(t.listed))
	p.claim.Place = s.host.Place()
	if !prepared {
		return nil // It is about to be.
	}
	return s.store.enter(ctx, p.claim, at.ID, next)
}

// prepare makes sure, before the session is stored, that it can be found by who ends it.
func (s *Session) prepare(ctx context.Context, p *plan, id, next string) error {
	if p.claim != nil {
		if err := s.store.enter(ctx, p.claim, p.leaves(id), p.next); err != nil {
			return err
		}
	}
	if next == "" {
		return nil
	}
	return s.store.leaveForward(ctx, id, next, p.salt)
}

// inTime returns an error if a sign-in was put on the list so long ago that who ends all of the
// owner's sessions may not wait for it any more.
func (s *Session) inTime(p *plan, since time.Time) error {
	if took := s.store.Now().Sub(since); p.claim != nil && p.claim.IsNew && took > owners.SettleFor/2 {
		return fmt.Errorf("owner: the sign-in has taken %v so far: try again", took.Round(time.Second))
	}
	return nil
}

// leftList reports whether a commit has made the session somebody else's, or nobody's.
func (p *plan) leftList(at *Version, err error) bool {
	return err == nil && p.err == nil && p.stores() && p.at.terms.listed != 0 && (at.terms.listed == 0 || p.claim != nil && p.claim.IsNew)
}

// settleList makes the lists say what has become of a commit.
func (s *Session) settleList(ctx context.Context, p *plan, at *Version, err error, left bool) {
	if p.claim != nil && p.listedInVain(at, err) && ctx.Err() == nil {
		s.store.withdraw(ctx, p.claim, p.at.ID, p.next)
	}
	if left {
		s.store.leaveList(ctx, s.host.Place(), p.at)
	}
}

// listedInVain reports whether nothing of the owner's is where the plan has put it on the
// list: the session had ended, or has stayed where it was, or another request has made it
// nobody's. It would take the place of another one.
func (p *plan) listedInVain(at *Version, err error) bool {
	switch {
	case p.creates():
		return false
	case err == nil:
		return !at.isOf(p.claim)
	}
	return errors.Is(err, ErrEnded) || p.claim.IsNew && !errors.Is(err, ErrTooMany)
}
