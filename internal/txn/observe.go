package txn

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/flamego/session/driver"
)

// Kind is a kind of event.
type Kind int

// The kinds of events. Package session says what they mean.
const (
	Began Kind = iota
	Loaded
	Rotated
	Renewed
	Ended
	Evicted
	Expired
	UnknownID
	MalformedID
	Undecodable
	StoreCall
	Conflict
	StoreError
	kinds
)

// Who ended a session.
const (
	byRequest = "request"
	byManager = "manager"
)

// Event is what an observer learns.
type Event struct {
	Kind      Kind
	ID, Owner string
	Previous  string        // the ID before it moved
	By        string        // who ended it
	Op        string        // a call of the store
	Duration  time.Duration // of that call
	Err       error
}

// Counts counts the events of each kind.
type Counts [kinds]atomic.Int64

// Emit counts an event, and passes it to the observer.
func (s *Store) Emit(ctx context.Context, e Event) {
	s.Counts[e.Kind].Add(1)
	if s.Observe != nil {
		s.observe(ctx, e)
	}
}

func (s *Store) observe(ctx context.Context, e Event) {
	e.ID, e.Previous = s.ref(e.ID), s.ref(e.Previous) // An owner's list has nothing else.
	s.Observe(ctx, e)
}

// EmitLoaded is Emit for a session that a request has loaded.
func (s *Store) EmitLoaded(ctx context.Context, v *Version) { s.emitSession(ctx, Loaded, "", v) }

// emitSession is Emit for a session at hand.
func (s *Store) emitSession(ctx context.Context, k Kind, by string, v *Version) {
	s.Counts[k].Add(1)
	if s.Observe != nil {
		s.observe(ctx, Event{Kind: k, ID: v.ID, Owner: ownerSeen(v), By: by})
	}
}

// emitMoved is Emit for a session that got a new ID.
func (s *Store) emitMoved(ctx context.Context, k Kind, from string, v *Version) {
	s.Emit(ctx, Event{Kind: k, ID: v.ID, Previous: from, Owner: ownerSeen(v)})
}

// ownerSeen is whose session it is.
func ownerSeen(v *Version) string {
	if v.View == nil || v.terms.listed == 0 {
		return ""
	}
	return v.text(ownerKey)
}

// clock is when a call of the store begins, if anybody wants to know.
func (s *Store) clock() (begin time.Time) {
	if s.Observe != nil {
		begin = time.Now() // Not Now, by which a test lets days pass.
	}
	return begin
}

// called notes a call of the store that began then.
func (s *Store) called(ctx context.Context, op string, begin time.Time, err error) {
	switch {
	case err == nil, errors.Is(err, driver.ErrNotFound), errors.Is(err, driver.ErrExists), errors.Is(err, driver.ErrUnreadable):
		if s.Observe != nil {
			s.Emit(ctx, Event{Kind: StoreCall, Op: op, Duration: time.Since(begin), Err: err})
		}
	case errors.Is(err, driver.ErrConflict):
		s.Emit(ctx, Event{Kind: Conflict, Op: op, Duration: s.since(begin), Err: err})
	default:
		s.Emit(ctx, Event{Kind: StoreError, Op: op, Duration: s.since(begin), Err: err})
	}
}

func (s *Store) since(begin time.Time) time.Duration {
	if begin.IsZero() {
		return 0
	}
	return time.Since(begin)
}

func (s *Store) delete(ctx context.Context, id string) error {
	begin := s.clock()
	err := s.Engine.Delete(ctx, id)
	s.called(ctx, "delete", begin, err)
	return err
}
