package txn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flamego/session/driver"
)

// plan is what one commit will do. It is immutable.
type plan struct {
	life     *life      // whose changes
	doomed   []*Version // records to delete before anything else
	do       action
	at       *Version // what the changes were made on
	id, next string   // of the record to create; where the record will move
	salt     string   // of a renewal, which is why it moves
	changes  *Changes // nil if there is nothing to store
	rebase   bool     // at is newer than what the changes were made on
	sealed   bool     // the client cannot be told anything any more
	guarded  bool     // nothing is created in the place of a session that has moved
	fixed    bool     // the application has seen the ID
	list     *listing // what to put on the owner's list first, or nil
	refresh  bool     // a persistent cookie is sent again with it
	optional bool     // it does nothing else, so it may fail
	withdraw bool     // if it fails, its changes are dropped
	err      error    // the outcome, unless something else fails
}

type action int

const (
	nothing action = iota
	create
	replace // or move, if there is a next ID
)

// Commit stores the changes. If it fails, they stay for the next commit; only ErrEnded
// drops them. It waits until the context ends.
func (s *Session) Commit(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.committing.Unlock()
	_, err := s.commit(ctx, false, false)
	return err
}

// Seal is the last commit before the client is told. Later changes that the client would
// have to be told of fail as too late. Seal waits for a commit under way. refresh asks
// for a persistent cookie to be sent again, renew for a new ID.
func (s *Session) Seal(ctx context.Context, refresh, renew bool) (State, error) {
	if err := s.lock(ctx); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sealed = true
		return s.state(), err
	}
	defer s.committing.Unlock()
	refreshed, err := s.commit(ctx, refresh, renew)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = true
	st := s.state()
	st.Refreshed = refreshed
	return st, err
}

// SealClean is Seal if there is nothing to commit; otherwise it does nothing, and returns
// false. It is one step: what another goroutine changes comes before it, and is committed,
// or after it, and is told that it is too late.
func (s *Session) SealClean() (State, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dirty() {
		return State{}, false
	}
	s.sealed = true
	return s.state(), true
}

// Abandon is Seal without a commit: what is stored stands, the rest is too late.
func (s *Session) Abandon() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = true
	return s.state()
}

func (s *Session) lock(ctx context.Context) error {
	for !s.committing.TryLock() { // Another goroutine of the request is committing, which is rare.
		if err := Wait(ctx, time.Millisecond); err != nil {
			return fmt.Errorf("session: commit: %w", err)
		}
	}
	return nil
}

// Dirty reports whether a commit has anything to do, or to wait for.
func (s *Session) Dirty() bool {
	s.mu.Lock()
	dirty := s.dirty()
	s.mu.Unlock()
	return dirty
}

// dirty needs mu.
func (s *Session) dirty() bool {
	l := s.life
	if l.refused != nil || len(s.doomed) > 0 || l.inflight != nil || !l.pending.Empty() {
		return true
	}
	switch l.phase {
	case exposed, renewed, moving:
		return true
	case stored:
		return !s.store.hasCreated(l.at.terms)
	case ended:
		return l.id != ""
	}
	return false
}

func (s *Session) commit(ctx context.Context, refresh, renew bool) (refreshed bool, err error) {
	var p plan
	if s.plan(&p, refresh, renew); p.life == nil {
		return false, p.err
	}
	at, err := s.run(ctx, &p)
	s.settle(&p, at, err)
	if p.list != nil && p.listedInVain(at, err) && ctx.Err() == nil {
		s.store.strike(ctx, p.list, p.at.ID, p.next)
	}
	switch {
	case err == nil && p.err == nil:
		if p.at.terms.listed != 0 && p.do != nothing && (at.terms.listed == 0 || p.list != nil && p.list.isNew) {
			s.store.unlist(ctx, s.host.Place(), p.at) // It is somebody else's now, or nobody's.
		}
		if p.do == create || p.next != "" {
			s.announce(ctx, &p, at)
			err = s.overtaken(ctx, &p)
		}
		return p.refresh && p.do != nothing, err
	case err == nil:
		return false, p.err
	case p.optional:
		// The response is fine without it. If another request came first, the next one
		// tries again.
		if !errors.Is(err, ErrEnded) && !errors.Is(err, driver.ErrConflict) {
			s.store.Report(fmt.Errorf("session: refresh the cookie: %w", err))
		}
		return false, nil
	case errors.Is(err, ErrEnded), errors.Is(err, ErrTooMany):
		return false, err
	}
	return false, fmt.Errorf("session: commit: %w", err)
}

func (s *Session) announce(ctx context.Context, p *plan, at *Version) {
	switch {
	case p.do == create:
		s.store.emitSession(ctx, Began, "", at)
	case p.next == "" || at.ID != p.next:
	case p.salt != "":
		s.store.emitMoved(ctx, Renewed, p.at.ID, at)
	default:
		s.store.emitMoved(ctx, Rotated, p.at.ID, at)
	}
}

// overtaken is for a commit that the response has not waited for any longer. A record
// that nobody was told of is deleted again.
func (s *Session) overtaken(ctx context.Context, p *plan) error {
	s.mu.Lock()
	late := s.sealed && !p.sealed
	s.mu.Unlock()
	switch {
	case !late:
		return nil
	case p.do == create:
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second) // Its own may have just ended.
		defer cancel()
		s.Destroy()
		_, err := s.commit(ctx, false, false)
		return errors.Join(ErrLate, err)
	}
	return ErrLateID
}

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
	p.life, p.at = l, l.at
	if len(s.doomed) > 0 {
		p.doomed = slices.Clone(s.doomed)
	}
	switch l.phase {
	case ended:
		if !l.pending.Empty() || l.id != "" {
			p.err, p.life = ErrEnded, s.renew(ended)
		}
		return
	case unsaved:
		if !l.pending.creates() {
			l.id = "" // What was set is gone again, or is only a lifetime.
			return
		}
		p.do, p.guarded = create, true
	case exposed, renewed:
		p.do, p.guarded, p.fixed = create, l.phase == exposed, true
	case stored:
		p.do = replace
		if renew && !p.sealed && s.store.RenewalDue(l.at) { // Another request may have renewed it.
			p.salt = s.host.NewID()
			p.next = renewedID(l.id, p.salt)
		}
	case moving:
		p.do, p.next = replace, l.next
	}
	ch := l.changes()
	if p.refresh = s.stamp(l, ch, refresh, p.next != ""); l.phase == stored && ch.Empty() {
		p.do = nothing
		return
	}
	if l.id == "" {
		l.id = s.host.NewID() // Now, so that ID returns the same meanwhile.
	}
	p.list = s.listing(l, p)
	p.id, p.changes, p.rebase, p.optional = l.id, ch, l.rebased, optional
	l.pending, l.inflight, l.rebased = nil, ch, false
}

// listing returns what the plan has to put on the owner's list, or nil. It needs mu.
func (s *Session) listing(l *life, p *plan) *listing {
	t := l.at.terms.with(l.pending)
	if t.listed == 0 {
		return nil
	}
	if _, relisted := l.pending.get(listedKey); p.next == "" && !relisted {
		return nil
	}
	text := func(key string) string { val, _ := l.get(key); text, _ := val.(string); return text }
	_, isNew := l.pending.get(ownerKey)
	return &listing{place: s.host.Place(), owner: text(ownerKey), handle: text(handleKey), until: time.UnixMilli(t.listed), isNew: isNew}
}

// leaves is the ID of the session as the owner's list has it. What belonged to another
// owner, or to nobody, is not on the list.
func (p *plan) leaves(id string) string {
	if p.next != "" && p.list.isNew {
		return ""
	}
	return id
}

// listedInVain reports whether nothing of the owner's is where the plan has put it on the
// list: the session had ended, or has stayed where it was, or another request has made it
// nobody's. It would take the place of another one.
func (p *plan) listedInVain(at *Version, err error) bool {
	switch {
	case p.do != replace:
		return false
	case err == nil:
		return !at.isOwnedBy(p.list.owner, p.list.handle)
	}
	return errors.Is(err, ErrEnded) || p.list.isNew && !errors.Is(err, ErrTooMany)
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
	newHandle := l.phase != stored || moves || s.store.Traits.Client
	if newHandle && s.store.RenewEvery > 0 {
		ch.Set(renewedKey, s.store.Now().UnixMilli())
	}
	if until, due := s.store.listUntil(t); due {
		ch.Set(listedKey, until.UnixMilli())
	}
	if sends = refresh || !s.sealed && s.host.Sends(newHandle, t.maxAge()); sends {
		ch.Set(sentKey, s.store.Now().UnixMilli())
	}
	return sends
}

// dropUntellable drops what the client would have to be told. It needs mu.
func (s *Session) dropUntellable() error {
	l := s.life
	creates := l.phase == exposed || l.phase == renewed || l.phase == unsaved && l.pending.creates()
	switch {
	case s.store.Traits.Client && (creates || l.phase == moving || len(s.doomed) > 0 || l.phase == stored && !l.pending.Empty()):
		s.doomed = nil
		if l.phase == stored || l.phase == moving {
			l.phase, l.next, l.pending = stored, "", nil
			s.edits++
		} else {
			s.renew(unsaved)
		}
		return ErrLateClient
	case creates:
		s.renew(unsaved)
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

// run carries out the plan. A panic of the backend becomes an error, so that the changes
// are not lost.
func (s *Session) run(ctx context.Context, p *plan) (at *Version, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	// 1. Delete the records of destroyed sessions, before anything new is stored.
	for _, v := range p.doomed {
		if err := s.store.end(ctx, s.host.Place(), v.ID); err != nil {
			return nil, fmt.Errorf("destroy: %w", err)
		}
		s.mu.Lock()
		s.doomed = slices.DeleteFunc(s.doomed, func(d *Version) bool { return d.ID == v.ID })
		s.mu.Unlock()
		s.store.unlist(ctx, s.host.Place(), v)
		s.store.emitSession(ctx, Ended, byRequest, v)
	}
	if errors.Is(p.err, ErrEnded) {
		return nil, p.err
	}
	ch := p.changes
	if p.rebase {
		if ch, err = s.rebase(p, p.at, ch); err != nil {
			return nil, err
		}
	}
	// 2. Store the changes, in a new record or over the version that they were made on.
	switch p.do {
	case create:
		return s.create(ctx, p, ch)
	case replace:
		return s.swap(ctx, p, p.at, ch)
	}
	return nil, nil
}

// settle applies the outcome: the new version, or the changes as they were.
func (s *Session) settle(p *plan, at *Version, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := p.life
	ch := l.inflight
	l.inflight = nil
	switch {
	case s.life != l: // Destroyed meanwhile.
		if err == nil && p.do != nothing {
			s.doom(at)
		}
	case err == nil && p.do != nothing:
		if l.phase < stored && l.id != p.id { // RegenerateID came meanwhile.
			l.phase, l.next = moving, l.id
		}
		if l.phase != moving || l.next == at.ID {
			l.phase, l.next = stored, ""
		}
		l.at, l.id = at, at.ID
	case err == nil, p.optional:
	case errors.Is(err, ErrEnded):
		s.renew(ended)
		s.lost = true
	case errors.Is(err, ErrTooMany): // It stays as it was, so that the handler can respond.
		if l.phase < stored {
			s.renew(unsaved)
		} else {
			l.phase, l.next, l.pending = stored, "", nil
			s.edits++
		}
	case p.withdraw:
	case ch != nil:
		ch.append(l.pending)
		l.pending, l.rebased = ch, l.rebased || p.rebase
	}
}
