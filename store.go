package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/codec"
	"github.com/flamego/session/internal/recordstore"
	"github.com/flamego/session/internal/sessionid"
	"github.com/flamego/session/internal/txn"
)

// Package driver has the contract for storage systems.
type (
	// Backend is a storage system as the library sees it. NewStore makes a Store of
	// it.
	Backend = driver.Backend
	// Record is what a Backend stores under a session ID.
	Record = driver.Record
	// Counter is a Backend that can count live sessions. It is optional: Manager.Count
	// needs it. A Store of your own may have the method too.
	Counter = driver.Counter
	// Lister is a Backend that can list its records. It is optional: Manager.EndEverybody
	// needs it.
	Lister = driver.Lister
	// ManyLoader is a Backend that can load several records in one round trip. It is
	// optional: Manager.Sessions is faster with it.
	ManyLoader = driver.ManyLoader
	// LoadSharer is a Backend whose loads for concurrent requests can share round trips. It
	// is optional: a busy server is faster with it.
	LoadSharer = driver.LoadSharer
)

// The conditions that a Backend distinguishes. Check them with errors.Is.
var (
	ErrNotFound = driver.ErrNotFound
	ErrExists   = driver.ErrExists
	ErrConflict = driver.ErrConflict
	// ErrUnavailable marks conditions that pass by themselves, such as a storage system that
	// is starting up. They do not keep a server from starting.
	ErrUnavailable = driver.ErrUnavailable
)

var errInClient = errors.New("the sessions of this Store are kept by their clients, out of reach: only a request of the session itself can change or end it")

// Store is a session store with capabilities of checking, reading, destroying and GC sessions.
// The Store that the library injects into handlers knows its request: its Destroy ends the
// request's own session as the function Destroy does.
//
// A Store of this library may be used concurrently. A Store of your own works as in v1.6.6.
// The guide on writing a backend says what it can promise, and why it is better to write a
// Backend.
type Store interface {
	// Exist returns true if the session with given ID exists. It also returns false if the
	// store is unavailable.
	Exist(ctx context.Context, sid string) bool
	// Read returns the session with given ID. If it does not exist, Read returns an empty
	// session with that ID, which Save stores.
	Read(ctx context.Context, sid string) (Session, error)
	// Destroy deletes session with given ID from the session store completely. A session that
	// does not exist is not an error.
	Destroy(ctx context.Context, sid string) error
	// Touch updates the expiry time of the session with given ID. It does nothing if there is
	// no session with that ID.
	Touch(ctx context.Context, sid string) error
	// Save persists session data to the session store. Handlers do not need it: the middleware
	// stores their sessions.
	Save(ctx context.Context, session Session) error
	// GC removes expired records from the session store.
	GC(ctx context.Context) error
}

// Initer opens a session store. The library passes it two arguments: Options.Config and an
// IDWriter.
type Initer func(ctx context.Context, args ...interface{}) (Store, error)

// StoreConfig holds the options that every Store has, whatever its Backend.
type StoreConfig struct {
	// Lifetime is the idle timeout. Default is one hour, also for values under a second;
	// values over 100 years mean 100 years.
	Lifetime time.Duration
	// Encoder is the encoder to encode session data. Default is GobEncoder.
	Encoder Encoder
	// Decoder is the decoder to decode session data. Default is GobDecoder.
	Decoder Decoder
	// Name distinguishes this storage from others whose data the same Cipher encrypts. Use the
	// name of the table, for example. A record that is copied from one storage to another is
	// then invalid. Default is none. Changing it ends all encrypted sessions.
	Name string
}

func defaultLifetime(d time.Duration) time.Duration {
	if d < time.Second {
		return time.Hour
	}
	return min(d, txn.MaxLifetime)
}

// NewStore returns a Store that keeps its records in the Backend. The Store has a Close method
// if the Backend has one.
func NewStore(b Backend, cfg StoreConfig) Store {
	return newStore(recordstore.New(b, newCodec(cfg.Encoder, cfg.Decoder), cfg.Name), cfg.Lifetime)
}

// sweepLimit is how many expired records one batch removes at most.
const sweepLimit = 1000

// store is the library's Store, on any engine. It is the host of the sessions that
// Read returns.
type store struct {
	core *txn.Store

	// What follows is of the Manager that uses it, and zero without one.
	place        place
	timeout      time.Duration
	sweepTimeout time.Duration
}

var (
	_ Store    = (*store)(nil)
	_ txn.Host = (*store)(nil)
)

func newStore(e txn.Engine, lifetime time.Duration) *store {
	if lifetime != 0 && lifetime < time.Second {
		slog.Warn("session: a lifetime under a second means an hour: write Config.Lifetime with its unit, as in 30 * time.Minute", "Lifetime", lifetime)
	}
	return &store{core: txn.NewStore(e, defaultLifetime(lifetime))}
}

// unused returns the store, or if a Manager uses it already, another one on the same engine:
// each has options of its own.
func (s *store) unused() *store {
	if s.place == (place{}) {
		return s
	}
	core := txn.NewStore(s.core.Engine, s.core.Idle)
	core.Now = s.core.Now
	return &store{core: core, place: s.place}
}

// attach ties the store to the Manager that uses it. An ID of a second Manager must not
// open sessions of the first: records say where they belong, and an engine whose
// records do not can have only one place.
func (s *store) attach(m *Manager) error {
	at := m.opt.place()
	if !s.core.Traits.Shared && s.place != (place{}) && s.place != at {
		return fmt.Errorf("Options.Initer returned a Store that another Manager uses for the %s, so each would take the other's sessions: return one for the %s alone", s.place, at)
	}
	if err := s.hashIDs(m.opt.HashIDs); err != nil {
		return err
	}
	s.place = at
	if m.opt.now != nil {
		s.core.Now = m.opt.now
	}
	s.timeout, s.sweepTimeout = m.opt.StoreTimeout, m.opt.GCInterval
	s.core.Absolute, s.core.Report = m.opt.AbsoluteLifetime, m.report
	s.core.Observe = m.observer()
	s.core.RenewEvery = m.opt.RenewEvery
	s.core.MaxPerOwner, s.core.RefuseOverMax = m.opt.MaxPerOwner, m.opt.RefuseOverMax
	s.core.MaxSize = m.opt.MaxSize
	s.core.Place = s.Place()
	if m.opt.OwnerOf != nil {
		s.core.OwnerOf = m.ownerOf
	}
	if e, ok := s.core.Engine.(interface{ Attach(place string) error }); ok {
		return e.Attach(at.String())
	}
	return nil
}

func (s *store) hashIDs(hash bool) error {
	e, ok := s.core.Engine.(interface {
		HashIDs()
		Hashes() bool
	})
	switch first := s.place == (place{}); {
	case !ok && hash && !s.core.Traits.Local && !s.core.Traits.Client:
		return fmt.Errorf("HashIDs: this Store chooses its own keys: use one made by session.NewStore: %w", errors.ErrUnsupported)
	case ok && !first && e.Hashes() != hash:
		return errors.New("HashIDs is not the same as that of another Manager on this Store: set it for all of them, or for none")
	case ok && first && hash:
		e.HashIDs()
	}
	return nil
}

// canOwn says why a Store cannot keep the library's own records.
func canOwn(core *txn.Store) error {
	switch {
	case core.Traits.Client:
		return errInClient
	case !core.Traits.OwnRecords:
		return fmt.Errorf("this Store can keep no records of the library: use one made by session.NewStore: %w", errors.ErrUnsupported)
	}
	return nil
}

// within bounds a wait for the engine. One that never waits needs no timer.
func (s *store) within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if s.core.Traits.Local || timeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, timeout)
}

// deadline limits a wait of a request, or of a caller outside of one.
func (s *store) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	return s.within(ctx, s.timeout)
}

// NewID, Context, Place and Sends implement txn.Host.
func (s *store) Context() context.Context { return context.Background() }

func (s *store) NewID() string { return sessionid.New(defaultIDLength) }

func (s *store) Place() string {
	if s.core.Traits.Shared && s.place != (place{}) {
		return s.place.String()
	}
	return ""
}

func (s *store) Sends(bool, int, bool) int { return 0 }

func (s *store) Exist(ctx context.Context, sid string) bool {
	if !s.core.Engine.Valid(sid, driver.MinIDLength) {
		return false
	}
	_, err := s.core.Find(ctx, sid)
	return err == nil
}

func (s *store) Read(ctx context.Context, sid string) (Session, error) {
	l := &live{store: s}
	l.txn.New(s.core, s)
	err := ErrNotFound
	if s.core.Engine.Valid(sid, driver.MinIDLength) {
		var v *txn.Version
		if v, err = s.core.Find(ctx, sid); err == nil {
			l.txn.Begin(v)
			return l, nil
		}
	}
	if err := checkID(sid); err != nil {
		return nil, err
	}
	if !errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("session: read: %w", err)
	}
	if !s.core.Traits.Client && !s.core.Engine.Valid(sid, driver.MinIDLength) {
		return nil, errInvalidID
	}
	l.txn.Adopt(sid)
	return l, nil
}

func (s *store) Destroy(ctx context.Context, sid string) error {
	switch {
	case !driver.ValidID(sid):
		return nil // There can be no such session.
	case s.core.Traits.Client:
		return fmt.Errorf("session: destroy: %w", errInClient)
	case !s.core.Engine.Valid(sid, driver.MinIDLength):
		return nil
	}
	if err := s.core.End(ctx, sid); err != nil {
		return fmt.Errorf("session: destroy: %w", err)
	}
	return nil
}

func (s *store) Touch(ctx context.Context, sid string) error {
	if !s.core.Engine.Valid(sid, driver.MinIDLength) {
		return nil
	}
	// A record that expired, but is still there, must not come back.
	v, err := s.core.Find(ctx, sid)
	if err == nil {
		_, err = s.core.Touch(ctx, v)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("session: touch: %w", err)
	}
	return nil
}

// Save commits a session that Read returned, rebased on what others have stored since.
// A session of any other origin replaces what is stored.
func (s *store) Save(ctx context.Context, sess Session) error {
	if l, ok := sess.(*live); ok && l.store.core.Engine == s.core.Engine {
		return Commit(ctx, l)
	}
	if s.core.Traits.Client {
		return fmt.Errorf("session: save: %w", errInClient)
	}
	vals, err := valuesOf(sess)
	if err != nil {
		return fmt.Errorf("session: save: %w", err)
	}
	target, err := s.Read(ctx, sess.ID())
	if err != nil {
		return err
	}
	t := &target.(*live).txn
	t.Flush()
	for _, p := range vals.Pairs {
		t.SetOwn(p.Key, p.Value)
	}
	return t.Commit(ctx)
}

// valuesOf returns the data of any Session.
func valuesOf(sess Session) (*txn.Values, error) {
	if base, ok := sess.(*BaseSession); ok {
		return base.values(), nil
	}
	b, err := sess.Encode()
	if err != nil {
		return nil, err
	}
	return codec.Gob.Whole().Unmarshal(b)
}

// GC sweeps in batches, and pauses after each for as long as the batch took. So at
// least half of the time is left to requests, however many sessions expired at once,
// and even if old transactions or other sweeps make a batch slow.
func (s *store) GC(ctx context.Context) error {
	for {
		begin := time.Now()
		n, err := s.sweep(ctx)
		if err != nil {
			return fmt.Errorf("session: sweep: %w", err)
		}
		if n < sweepLimit {
			return nil
		}
		if err := txn.Wait(ctx, time.Since(begin)); err != nil {
			return fmt.Errorf("session: sweep: %w", err)
		}
	}
}

// sweep removes one batch.
func (s *store) sweep(ctx context.Context) (int, error) {
	ctx, cancel := s.within(ctx, s.sweepTimeout)
	defer cancel()
	return s.core.Sweep(ctx, sweepLimit)
}

// Close closes what the backend opened.
func (s *store) Close() error {
	if c, ok := s.core.Engine.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
