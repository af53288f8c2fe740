package txn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/owners"
	"github.com/flamego/session/internal/sessionid"
)

// named is the owner that a session without one names, or "". What the application's function
// does wrong costs the session its place on a list, but nothing else.
func (s *Store) named(ctx context.Context, v *Version) string {
	if s.OwnerOf == nil || v.View == nil || v.terms.listed != 0 || v.terms.isNote {
		return ""
	}
	owner, err := s.OwnerOf(v)
	if err != nil {
		s.Report(ctx, fmt.Errorf("session: owner: %w", err))
	}
	return owner
}

// adopt puts a session from before owners on the list of the one that it names. It keeps its
// ID. The order is that of a sign-in: it is listed first. Who ends all of the owner's sessions
// meanwhile finds it there, and ends it by what it names. Requests that adopt the same session
// at once give it the same handle.
func (s *Store) adopt(ctx context.Context, v *Version) (*Version, error) {
	var turn turn
	defer turn.end()
	for {
		owner := s.named(ctx, v)
		if owner == "" {
			return v, nil
		}
		began, err := s.ListAtSignIn(ctx, s.Place, owner)
		if err != nil {
			return v, err
		}
		until := s.wanted(s.Now(), v.terms).Add(owners.Slack)
		c := &owners.Claim{Place: s.Place, Owner: owner, Handle: owners.Handle(sessionid.Derived("handle " + s.ref(v.ID))[:handleLength]), Until: until, IsNew: true, Adopts: true, Began: began}
		err = s.enter(ctx, c, v.ID, "")
		if errors.Is(err, ErrEnded) {
			if err := s.end(ctx, s.Place, v); err != nil {
				return v, err
			}
			s.emitSession(ctx, Ended, byManager, v)
			return v, driver.ErrNotFound
		}
		if err != nil {
			return v, err
		}
		ch := &Changes{}
		ch.Set(ownerKey, owner)
		ch.Set(handleKey, string(c.Handle))
		ch.Set(listedKey, until.UnixMilli())
		if s.Place != "" && v.terms.place == "" {
			ch.Set(placeKey, s.Place)
		}
		next, err := s.replace(ctx, v, ch, earlier(v.Record.Expiry, until))
		if !errors.Is(err, driver.ErrConflict) {
			if err != nil {
				return v, err
			}
			return next, nil
		}
		next, err = turn.next(ctx, s, v.ID)
		if err == nil && next.isOf(c) {
			return next, nil // Another request has done it.
		}
		s.withdraw(ctx, c, v.ID, "")
		if err != nil {
			return v, err
		}
		v = next
	}
}

const handleLength = 32

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// adoptOr is adopt for a session that can be used all the same. It returns ErrNotFound if that
// has ended.
func (s *Store) adoptOr(ctx context.Context, v *Version) (*Version, error) {
	v, err := s.adopt(ctx, v)
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		s.Report(ctx, fmt.Errorf("session: owner: %w", err))
		err = nil
	}
	return v, err
}
