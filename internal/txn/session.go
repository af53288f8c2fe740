package txn

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Host is what a session in use belongs to: an HTTP request, or a caller of
// Store.Read. Its methods may be called concurrently.
type Host interface {
	// NewID returns a new ID.
	NewID() string
	// Context is that of the request, for reports.
	Context() context.Context
	// Place is the cookie or header that records say they belong to, or "".
	Place() string
	// Sends returns how many seconds the client keeps the cookie that it will get after a
	// commit that gives the session a new Token, or this Max-Age, or asks to refresh it. It
	// is 0 if the client gets none, or one that ends with the browser.
	Sends(newToken bool, maxAge int, refresh bool) (seconds int)
}

// Session is a session in use, by a request or by a caller of Store.Read. Its methods
// may be called concurrently. Without a call of Begin, Ended or Adopt it is that of a
// visitor who has none.
type Session struct {
	store *Store
	host  Host
	stale *Found // the dead IDs that the request brought
	adopt bool   // an existing record of the same ID is merged with, not avoided

	committing sync.Mutex // one commit at a time; taken before mu

	mu             sync.Mutex // never held while waiting for a store or running foreign code
	life           *life
	first          life       // saves an allocation in the usual case
	pendingDeletes []*Version // records to delete with the next commit
	edits          int        // counts changes, for Update
	changed        bool
	rotated        bool
	lost           bool // it was ended elsewhere: the client may hold a newer one
	untold         bool // the handler has not heard that its changes were dropped
	sealed         bool // it is too late to tell the client anything
	still          bool // commits do not slide the expiry
}

// life is a session from its first value to its end. A life that ended is replaced,
// never reset.
type life struct {
	phase     phase
	id        string   // of the record, or of the one to create; "" if not chosen yet
	next      string   // the ID that the record will move to
	at        *Version // what is stored
	pending   *Changes // made since the last commit, or nil
	inflight  *Changes // being committed right now, or nil
	rebased   bool     // at is newer than what pending was made on: its Updates have to run again
	refused   error    // why something that was set cannot be stored; every commit returns it
	inherited *Changes // of the previous life, which the Store was told to destroy, or nil
}

// unstored is the version of what is not stored.
var unstored = &Version{terms: noTerms}

type phase int

const (
	unsaved     phase = iota // no record; setting a value creates one (lazy creation)
	exposed                  // no record, but the application has the ID: one is created even without a value
	regenerated              // the same, because RegenerateID was called
	stored                   // there is a record
	moving                   // there is a record, which will move to next
	ended                    // it was ended elsewhere, and nothing may take its place
)

// New prepares s, which must not be used before.
func (s *Session) New(store *Store, host Host) {
	s.store, s.host = store, host
	s.first.at = unstored
	s.life = &s.first
}

// Begin starts with a version that was found and opened.
func (s *Session) Begin(v *Version) {
	s.stale = nil
	s.first = life{phase: stored, id: v.ID, at: v}
}

// Stale says that the request brought a dead ID. If that session has just moved, nothing
// is created in its place for a while.
func (s *Session) Stale(dead Found) {
	dead.next = s.stale
	s.stale = &dead
}

// Ended says that the session existed a moment ago, but has moved or ended since.
// Nothing may take its place.
func (s *Session) Ended() { s.first.phase = ended }

// Adopt starts with an ID that has no record. If there is one by the time of a commit,
// the changes are merged with it.
func (s *Session) Adopt(id string) {
	s.adopt = true
	s.first = life{phase: exposed, id: id, at: unstored}
}

// startLife starts a new life.
func (s *Session) startLife(p phase) *life {
	s.life = &life{phase: p, at: unstored}
	s.edits++ // An Update under way has read the old life.
	return s.life
}

// ID returns the ID, and makes it final.
func (s *Session) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.life
	if l.phase == moving {
		return l.next
	}
	if l.id == "" {
		l.id = s.host.NewID()
	}
	if l.phase == unsaved {
		l.phase = exposed
	}
	return l.id
}

// Known returns the ID if there is a session, or one will be created.
func (s *Session) Known() string {
	s.mu.Lock()
	none := s.life.phase == unsaved && s.life.id == "" && !s.life.pending.creates()
	s.mu.Unlock()
	if none {
		return ""
	}
	return s.ID()
}

// Is reports whether the ID is that of the session, or the one that it will leave, and
// whether there is a record.
func (s *Session) Is(id string) (own, left, saved bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.life
	if l.phase == moving {
		return id == l.next, id == l.id, true
	}
	return l.id != "" && id == l.id, false, l.phase == stored
}

// Rotate gives the session a new ID with the next commit.
func (s *Session) Rotate(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed {
		return ErrLateID
	}
	s.rotate(id)
	return nil
}

// RotateBy is Rotate for an engine whose sessions choose their own IDs. choose gets the
// version that will move, or nil, and is called while no commit runs.
func (s *Session) RotateBy(ctx context.Context, choose func(at *Version) (string, error)) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.committing.Unlock()
	s.mu.Lock()
	l, at := s.life, (*Version)(nil)
	if l.phase == stored || l.phase == moving {
		at = l.at
	}
	s.mu.Unlock()
	id, err := choose(at)
	if err != nil {
		return err
	}
	s.mu.Lock()
	same := s.life == l // Or it was destroyed meanwhile.
	s.mu.Unlock()
	if !same {
		id = s.host.NewID()
	}
	return s.Rotate(id)
}

func (s *Session) rotate(id string) {
	s.changed, s.rotated = true, true
	l := s.life
	switch l.phase {
	case stored, moving:
		l.phase, l.next = moving, id
		return
	case ended:
		l = s.startLife(regenerated)
	}
	l.phase, l.id = regenerated, id
	if !l.inherited.Empty() {
		l.inherited.append(l.pending)
		l.pending, l.inherited = l.inherited, nil
	}
}

// mostUpdates is how often the function of an Update runs before it must be the function
// itself that changes the key. Other goroutines are done long before.
const mostUpdates = 1000

// Destroy ends the session with the next commit. What is set after it starts a new
// one.
func (s *Session) Destroy() { s.destroy(false) }

// DestroyKeepingChanges is Destroy for the Store that handlers get. Handlers written for v1.6.6 call it
// for the old session, before or after RegenerateID; then their changes move along.
func (s *Session) DestroyKeepingChanges() { s.destroy(true) }

func (s *Session) destroy(bequeath bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.life
	if old.phase == stored || old.phase == moving {
		s.deleteLater(old.at)
	}
	l := s.startLife(unsaved)
	if bequeath {
		l.inherited = old.pending
	}
	s.changed = true
}

func (s *Session) deleteLater(v *Version) {
	if !slices.ContainsFunc(s.pendingDeletes, func(d *Version) bool { return d.ID == v.ID }) {
		s.pendingDeletes = append(s.pendingDeletes, v)
	}
}

// Encode returns the session as it would be stored.
func (s *Session) Encode() ([]byte, error) {
	s.mu.Lock()
	view, ch := s.life.at.View, s.life.pending.clone()
	if s.life.inflight != nil {
		all := s.life.inflight.clone()
		all.append(ch)
		ch = all
	}
	s.mu.Unlock()
	b, err := s.store.Engine.Encode(view, ch)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	return b, nil
}

// Changed reports whether anything was changed since the start.
func (s *Session) Changed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// State is what the client has to learn about a session.
type State struct {
	Token     Token // what it presents to come back, "" if there is no session
	MaxAge    int   // the session's own Max-Age for the cookie, in seconds, or 0
	Lost      bool  // it was ended elsewhere: the client may hold a newer one
	Undeleted bool  // it was destroyed, but its record may still be there
	Rotated   bool  // the application gave it a new ID
	Refreshed bool  // the record says that a persistent cookie is being sent now
}

// State returns what the client has to learn now.
func (s *Session) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state()
}

// state needs mu.
func (s *Session) state() State {
	st := State{Lost: s.lost, Undeleted: len(s.pendingDeletes) > 0, Rotated: s.rotated}
	if l := s.life; l.phase == stored || l.phase == moving {
		st.Token, st.MaxAge = l.at.Token(), l.at.MaxAge()
	}
	return st
}
