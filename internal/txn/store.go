package txn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flamego/session/driver"
)

// Store is an engine with the rules for how long sessions last. Its fields are set
// before use; its methods may be called concurrently.
type Store struct {
	Engine     Engine
	Traits     Traits                       // of the engine
	Now        func() time.Time             // the clock
	Idle       time.Duration                // idle timeout of sessions that have none of their own
	Absolute   time.Duration                // absolute timeout, 0 for none
	RenewEvery time.Duration                // how old an ID may get, 0 for any age
	Report     func(context.Context, error) // is called with errors that fail no request

	Observe func(context.Context, Event) // or nil
	Counts  Counts

	MaxPerOwner   int  // how many sessions an owner may have, 0 for any number
	RefuseOverMax bool // a sign-in beyond that is refused, instead of ending the oldest

	Place   string                         // the cookie or header of owners' lists, or ""
	OwnerOf func(*Version) (string, error) // names the owner of a session that has none, or nil

	MaxSize int // how many bytes a session may have, 0 for any number

	queues Queues
	bad    Unreadable
}

// NewStore returns a Store with the system's clock.
func NewStore(e Engine, idle time.Duration) *Store {
	return &Store{Engine: e, Traits: e.Traits(), Idle: idle, Now: time.Now, Report: func(context.Context, error) {}}
}

func (s *Store) load(ctx context.Context, id string) (*Version, error) {
	begin := s.clock()
	v, err := s.Engine.Load(ctx, id)
	s.called(ctx, "load", begin, err)
	return withTerms(v, err)
}

// Open prepares a found version for use by a request: it takes the flash if that is
// wanted, or slides the expiry. The request that removes the flash from the record gets it
// (G5). Open returns ErrNotFound if the session has ended or moved meanwhile.
func (s *Store) Open(ctx context.Context, v *Version, takesFlash bool) (_ *Version, flash any, err error) {
	taken := false
	if takesFlash && v.terms.flash {
		if v, flash, taken, err = s.takeFlash(ctx, v); err != nil {
			return v, nil, err
		}
	}
	if taken { // If it was stored to end with the owner's list, that has to last longer.
		_, v.due = s.listUntil(v.terms)
	}
	v, err = s.slide(ctx, v)
	return v, flash, err
}

// slide slides the expiry if that was due when the version was found, and adopts it.
func (s *Store) slide(ctx context.Context, v *Version) (*Version, error) {
	if v.due {
		var err error
		v, err = s.Touch(ctx, v)
		switch {
		case errors.Is(err, driver.ErrNotFound):
			return v, err
		case err != nil:
			s.Report(ctx, fmt.Errorf("session: touch: %w", err)) // The session can still be used.
		}
	}
	return s.adoptOr(ctx, v)
}

func (s *Store) takeFlash(ctx context.Context, v *Version) (_ *Version, flash any, taken bool, err error) {
	var turn turn
	defer turn.end()
	for {
		stored, ok := v.View.Get(FlashKey)
		flash, err := s.decoded(ctx, v, FlashKey, stored)
		if !ok || err != nil { // Another server may know how to decode it.
			return v, nil, false, nil
		}
		next, err := s.replace(ctx, v, TakeFlash, s.expiry(s.Now(), v.terms))
		if err == nil {
			return next, flash, true, nil
		}
		if errors.Is(err, driver.ErrConflict) {
			v, err = turn.next(ctx, s, v.ID)
		}
		switch {
		case errors.Is(err, driver.ErrNotFound):
			return v, nil, false, err
		case err != nil:
			return v, nil, false, fmt.Errorf("flash: %w", err)
		}
	}
}

// decoded decodes a value of the version, and reports it if that cannot be done. It must
// be called without a lock.
func (s *Store) decoded(ctx context.Context, v *Version, key, val any) (any, error) {
	val, err := Decoded(val)
	if err == nil {
		return val, nil
	}
	err = fmt.Errorf("decode: key %s holds %w", KeyName(key), err)
	if s.bad.Add(v.ID, []byte(KeyName(key))) {
		s.Report(ctx, fmt.Errorf("session: %w", err))
	}
	return nil, err
}

// toUpdate decodes what an Update is about to change. A flash that cannot be decoded goes
// into the list of flashes as it is.
func (s *Store) toUpdate(ctx context.Context, v *Version, key, val any) (any, error) {
	old, err := s.decoded(ctx, v, key, val)
	if err != nil && key == any(FlashKey) {
		return val, nil
	}
	return old, err
}

// Touch slides the expiry. If another request has just written the record, it has done
// that already: Touch returns that version, and writes nothing. It returns ErrNotFound
// if the session is gone, and the unchanged version with any other error.
func (s *Store) Touch(ctx context.Context, v *Version) (*Version, error) {
	next, err := s.touch(ctx, v)
	switch {
	case err == nil:
		return next, nil
	case !errors.Is(err, driver.ErrConflict) && !errors.Is(err, driver.ErrNotFound):
		return v, err
	}
	if next, err = s.Find(ctx, v.ID); err != nil {
		return v, err
	}
	return next, nil
}

func (s *Store) touch(ctx context.Context, v *Version) (*Version, error) {
	t := v.terms
	if until, due := s.listUntil(t); due { // The owner's list has to last longer as well.
		c := v.claim(until)
		if err := s.enter(ctx, c, v.ID, ""); err != nil {
			return v, err
		}
		ch := &Changes{}
		ch.Set(listedKey, until.UnixMilli())
		then := t.with(ch)
		next, err := s.replace(ctx, v, ch, s.expiry(s.Now(), then))
		if errors.Is(err, driver.ErrConflict) {
			s.withdraw(ctx, c, v.ID, "") // If it has ended.
		}
		return next, err
	}
	expiry := s.expiry(s.Now(), t)
	c := s.reenter(ctx, v, expiry)
	begin := s.clock()
	next, err := s.Engine.Touch(ctx, v, expiry)
	s.called(ctx, "touch", begin, err)
	if next != nil {
		next.terms = t
	}
	if c != nil && errors.Is(err, driver.ErrConflict) {
		s.withdraw(ctx, c, v.ID, "")
	}
	return next, err
}

func (s *Store) create(ctx context.Context, id string, ch *Changes, expiry time.Time) (*Version, error) {
	begin := s.clock()
	v, err := s.Engine.Create(ctx, id, ch, expiry)
	s.called(ctx, "create", begin, err)
	return withTerms(v, err)
}

func (s *Store) replace(ctx context.Context, old *Version, ch *Changes, expiry time.Time) (*Version, error) {
	begin := s.clock()
	v, err := s.Engine.Replace(ctx, old, ch, expiry)
	s.called(ctx, "replace", begin, err)
	return withTerms(v, err)
}

func (s *Store) move(ctx context.Context, old *Version, newID string, ch *Changes, expiry time.Time) (*Version, error) {
	begin := s.clock()
	v, err := s.Engine.Move(ctx, old, newID, ch, expiry)
	s.called(ctx, "move", begin, err)
	return withTerms(v, err)
}

// Sweep deletes some of the expired records, and returns how many.
func (s *Store) Sweep(ctx context.Context, limit int) (n int, err error) {
	begin := s.clock()
	defer func() {
		if p := recover(); p != nil { // Nobody else would recover it, and the program would end.
			err = fmt.Errorf("panic: %v", p)
		}
		s.called(ctx, "sweep", begin, err)
	}()
	return s.Engine.Sweep(ctx, s.Now(), limit)
}

func withTerms(v *Version, err error) (*Version, error) {
	if v != nil {
		v.terms = termsOf(v.View)
	}
	return v, err
}
