package txn

import (
	"slices"

	"github.com/flamego/session/internal/forward"
	"github.com/flamego/session/internal/owners"
)

// plan is what one commit will do. Only what it is made on changes, when another request has
// come first, and what that has put on an owner's list.
type plan struct {
	life           *life         // whose changes
	pendingDeletes []*Version    // records to delete before anything else
	from           phase         // of the life
	at             *Version      // what the changes were made on
	id, next       string        // of the record to create; where the record will move
	salt           string        // of a renewal, which is why it moves
	changes        *Changes      // nil if there is nothing to store
	rebase         bool          // at is newer than what the changes were made on
	sealed         bool          // the client cannot be told anything any more
	claim          *owners.Claim // what to put on the owner's list first, or nil
	refresh        bool          // a persistent cookie is sent again with it
	optional       bool          // it does nothing else, so it may fail
	dropOnFailure  bool          // if it fails, its changes are dropped
	err            error         // the outcome, unless something else fails
}

// stores reports whether there is anything to store, and creates whether that is in a record
// which is not there yet.
func (p *plan) stores() bool  { return p.changes != nil }
func (p *plan) creates() bool { return p.stores() && p.from < stored }

// fixed reports whether the application has seen the ID.
func (p *plan) fixed() bool { return p.from != unsaved }

// plan takes up the changes. The session stays usable meanwhile.
func (s *Session) plan(p *plan, refresh, renew bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.err = s.life.refused; p.err != nil {
		return
	}
	optional := (refresh || renew) && !s.dirty()
	if p.sealed = s.sealed; p.sealed {
		p.err = s.dropUntellable()
	}
	l := s.life
	p.life, p.from, p.at = l, l.phase, l.at
	if len(s.pendingDeletes) > 0 {
		p.pendingDeletes = slices.Clone(s.pendingDeletes)
	}
	switch l.phase {
	case ended:
		if !l.pending.Empty() || l.id != "" || s.untold {
			s.untold = false
			p.err, p.life = ErrEnded, s.startLife(ended)
		}
		return
	case unsaved:
		if !l.pending.creates() {
			l.id = "" // What was set is gone again, or is only a lifetime.
			return
		}
	case stored:
		if renew && !p.sealed && s.store.RenewalDue(l.at) { // Another request may have renewed it.
			p.salt = s.host.NewID()
			p.next = forward.RenewedID(l.id, p.salt)
		}
	case moving:
		p.next = l.next
	}
	ch := l.changes()
	if p.refresh = s.stamp(l, ch, refresh, p.next != ""); l.phase == stored && ch.Empty() {
		return
	}
	if l.id == "" {
		l.id = s.host.NewID() // Now, so that ID returns the same meanwhile.
	}
	p.claim = s.claim(l, p)
	p.id, p.changes, p.rebase, p.optional = l.id, ch, l.rebased, optional
	l.pending, l.inflight, l.rebased = nil, ch, false
	if ch.owner != nil { // It holds for what is set later as well.
		l.changes().owner = ch.owner
	}
}

// stamp adds the library's own keys to what will be written, and reports whether they
// say that a persistent cookie is sent. It needs mu.
func (s *Session) stamp(l *life, ch *Changes, refresh, moves bool) (sends bool) {
	t := l.at.terms.with(ch)
	if !s.store.hasCreated(t) {
		ch.Set(CreatedKey, s.store.Now().UnixMilli())
	}
	if l.phase == stored && ch.Empty() && !refresh && !moves {
		return false // Nothing will be written.
	}
	if place := s.host.Place(); place != "" && t.place == "" {
		ch.Set(placeKey, place)
	}
	newToken := l.phase != stored || moves || s.store.Traits.Client
	if newToken && s.store.RenewEvery > 0 {
		ch.Set(renewedKey, s.store.Now().UnixMilli())
	}
	if until, due := s.store.listUntil(t); due {
		ch.Set(listedKey, until.UnixMilli())
	}
	seconds := 0
	if !s.sealed {
		seconds = s.host.Sends(newToken, t.maxAge(), refresh)
	}
	if seconds > 0 {
		ch.Set(resendKey, s.store.Now().Add(resendAfter(seconds)).UnixMilli())
	} else if ch.find(RememberKey) != nil || ch.find(AbsoluteKey) != nil {
		ch.Delete(resendKey) // The client does not get it now, so the next response sends it.
	}
	return seconds > 0
}

// dropUntellable drops what the client would have to be told. It needs mu.
func (s *Session) dropUntellable() error {
	l := s.life
	creates := l.phase == exposed || l.phase == regenerated || l.phase == unsaved && l.pending.creates()
	switch {
	case s.store.Traits.Client && (creates || l.phase == moving || len(s.pendingDeletes) > 0 || l.phase == stored && !l.pending.Empty()):
		s.pendingDeletes = nil
		if l.phase == stored || l.phase == moving {
			l.phase, l.next, l.pending = stored, "", nil
			s.edits++
		} else {
			s.startLife(unsaved)
		}
		return ErrLateClient
	case creates:
		s.startLife(unsaved)
		return ErrLate
	case l.phase == moving:
		l.phase, l.next = stored, ""
		if _, ok := l.pending.get(ownerKey); ok { // A new owner needs a new ID.
			l.pending = nil
			s.edits++
		}
		return ErrLateID
	}
	return nil
}
