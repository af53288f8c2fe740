package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/clientstore"
	"github.com/flamego/session/internal/codec"
	"github.com/flamego/session/internal/recordstore"
	"github.com/flamego/session/internal/txn"
)

// What a storage system has to offer is package driver's affair: see there for
// the contract.
type (
	// Backend is a storage system as the library sees it. NewStore makes a Store of
	// it.
	Backend = driver.Backend
	// Record is what a Backend stores under a session ID.
	Record = driver.Record
	// Counter is a Backend that knows how many sessions are alive. It is optional:
	// it is what Manager.Count needs. A Store of your own may have the method, too.
	Counter = driver.Counter
)

// The conditions a Backend tells apart, looked for with errors.Is.
var (
	ErrNotFound = driver.ErrNotFound
	ErrExists   = driver.ErrExists
	ErrConflict = driver.ErrConflict
)

// ErrMinimumSIDLength is returned by a Store that is asked for an ID of fewer
// than three characters.
var ErrMinimumSIDLength = fmt.Errorf("session: the ID is shorter than %d characters", driver.MinIDLength)

var (
	errInvalidID = errors.New("session: the ID has characters other than 0-9 and a-z, or too many of them")
	errInClient  = errors.New("the sessions of this Store are kept by their clients, out of reach: only a request of the session itself can change or end it")
)

// Store is a session store with capabilities of checking, reading, destroying
// and GC sessions. The one that the library injects into handlers knows its
// request: destroying the request's own session through it is Destroy.
//
// A Store of this library may be used concurrently. A Store of your own works
// too, as in v1.6.6: see the guide on writing a backend for what it can promise,
// and for why a Backend is the better thing to write.
type Store interface {
	// Exist returns true if the session with given ID exists. It is false also when
	// the store could not be asked.
	Exist(ctx context.Context, sid string) bool
	// Read returns the session with given ID. If a session with the ID does not
	// exist, an empty one with the same ID is returned; it is stored by Save.
	Read(ctx context.Context, sid string) (Session, error)
	// Destroy deletes session with given ID from the session store completely. It
	// is no error if there is none.
	Destroy(ctx context.Context, sid string) error
	// Touch updates the expiry time of the session with given ID. It does nothing
	// if there is no session associated with the ID.
	Touch(ctx context.Context, sid string) error
	// Save persists session data to the session store. It is not needed in
	// handlers, whose sessions are stored by the middleware.
	Save(ctx context.Context, session Session) error
	// GC performs a GC operation on the session store.
	GC(ctx context.Context) error
}

// Initer takes arbitrary number of arguments needed for initialization and
// returns an initialized session store. The library passes Options.Config and an
// IDWriter, and nothing else.
type Initer func(ctx context.Context, args ...interface{}) (Store, error)

// StoreConfig holds what every Store has, whatever its Backend.
type StoreConfig struct {
	// Lifetime is the idle timeout: how long a session lasts without an access.
	// Default is 3600 seconds, also for anything under a second; more than 100 years
	// count as 100 years.
	Lifetime time.Duration
	// Encoder is the encoder to encode session data. Default is GobEncoder.
	Encoder Encoder
	// Decoder is the decoder to decode session data. Default is GobDecoder.
	Decoder Decoder
}

func defaultLifetime(d time.Duration) time.Duration {
	if d < time.Second {
		return time.Hour
	}
	return min(d, txn.MaxLifetime)
}

// NewStore returns a Store that keeps its records in the Backend. The Store has
// a Close method if the Backend has one.
func NewStore(b Backend, cfg StoreConfig) Store {
	return newStore(recordstore.New(b, newCodec(cfg.Encoder, cfg.Decoder)), cfg.Lifetime)
}

// startTimeout bounds what the start waits for a storage system.
const startTimeout = 15 * time.Second

// BackendIniter returns an Initer for a Backend: it finds the Config of type C
// in the arguments, or says what it found instead, calls open, and makes a Store
// of what open returns. C is a struct like FileConfig, B the type of the Backend.
// An error of open ends up in NewManager's, so it should name the field of C and
// the remedy; what is returned beside it is dropped. The context is that of the
// start, and ends after 15 seconds: it must not be kept.
func BackendIniter[C any, B Backend](open func(ctx context.Context, cfg C) (B, StoreConfig, error)) Initer {
	return func(ctx context.Context, args ...interface{}) (Store, error) {
		cfg, err := configOf[C](args)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, startTimeout)
		defer cancel()
		b, sc, err := open(ctx, cfg)
		if err != nil {
			return nil, err
		}
		return NewStore(b, sc), nil
	}
}

// ClientIniter returns an Initer for sessions that live in their clients: the
// whole of one, encrypted by the Cipher, takes the place of the ID in the cookie,
// or in the header that Options.Transport names, and nothing is kept on the
// server. Package cookie is made of it; see there for what such sessions cannot
// do. Config and open are as for BackendIniter. The Store that it makes cannot be
// used to change sessions from outside of their own requests.
func ClientIniter[C any](open func(ctx context.Context, cfg C) (*Cipher, StoreConfig, error)) Initer {
	return func(ctx context.Context, args ...interface{}) (Store, error) {
		cfg, err := configOf[C](args)
		if err != nil {
			return nil, err
		}
		c, sc, err := open(ctx, cfg)
		if err != nil {
			return nil, err
		}
		return newStore(clientstore.New(sealer{c}, newCodec(sc.Encoder, sc.Decoder)), sc.Lifetime), nil
	}
}

// parseArgs finds the Config among the arguments of an Initer. It may be a
// pointer too.
func parseArgs[C any](args []interface{}) (cfg C, given bool) {
	for _, arg := range args {
		switch v := arg.(type) {
		case C:
			cfg, given = v, true
		case *C:
			if v != nil {
				cfg, given = *v, true
			}
		}
	}
	return cfg, given
}

// configOf is parseArgs where there must be a Config.
func configOf[C any](args []interface{}) (C, error) {
	cfg, given := parseArgs[C](args)
	if !given {
		return cfg, fmt.Errorf("Options.Config is %s: set it to a %T", typeOfConfig(args), cfg)
	}
	return cfg, nil
}

// typeOfConfig describes what stands in the place of the Config.
func typeOfConfig(args []interface{}) string {
	for _, arg := range args {
		switch arg.(type) {
		case nil, IDWriter:
		default:
			return "a " + reflect.TypeOf(arg).String()
		}
	}
	return "not set"
}

// sweepLimit is how many expired records are removed in one go.
const sweepLimit = 1000

// store is the Store that the library makes, of any engine. It is the host of the
// sessions that Read returns.
type store struct {
	core  *txn.Store
	place place // of the Manager that uses it, zero without one
}

var (
	_ Store    = (*store)(nil)
	_ txn.Host = (*store)(nil)
)

func newStore(e txn.Engine, lifetime time.Duration) *store {
	if lifetime != 0 && lifetime < time.Second {
		slog.Warn("session: a lifetime under a second is taken for an hour: write Config.Lifetime as 30 * time.Minute, with its unit", "Lifetime", lifetime)
	}
	return &store{core: txn.NewStore(e, defaultLifetime(lifetime))}
}

// attach ties the store to the Manager that uses it. What a second Manager tells its
// clients must not open sessions of the first: records say where they belong, and an
// engine whose records do not say so takes one place only.
func (s *store) attach(m *Manager) error {
	at := m.opt.place()
	if !s.core.Traits.Shared && s.place != (place{}) && s.place != at {
		return fmt.Errorf("Options.Initer returned a Store that another Manager uses for the %s, so each would take the other's sessions: return one for the %s alone", s.place, at)
	}
	if s.place == (place{}) {
		s.place = at
		if m.opt.now != nil {
			s.core.Now = m.opt.now
		}
	}
	s.core.Absolute, s.core.Report = m.opt.AbsoluteLifetime, m.report
	if e, ok := s.core.Engine.(interface{ Attach(place string) error }); ok {
		return e.Attach(at.String())
	}
	return nil
}

// NewID implements txn.Host, as the next two methods do.
func (s *store) NewID() string { return txn.NewID(defaultIDLength) }

func (s *store) Place() string {
	if s.core.Traits.Shared && s.place != (place{}) {
		return s.place.String()
	}
	return ""
}

func (s *store) Sends(bool, int) bool { return false }

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
	var err error = ErrNotFound
	if s.core.Engine.Valid(sid, driver.MinIDLength) {
		var v txn.Version
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
	l.txn.Adopt(sid)
	return l, nil
}

// checkID says what is wrong with an ID that an application passes.
func checkID(id string) error {
	switch {
	case len(id) < driver.MinIDLength:
		return ErrMinimumSIDLength
	case !driver.ValidID(id):
		return errInvalidID
	}
	return nil
}

func (s *store) Destroy(ctx context.Context, sid string) error {
	if !driver.ValidID(sid) {
		return nil // There can be no such session.
	}
	if s.core.Traits.Client {
		return fmt.Errorf("session: destroy: %w", errInClient)
	}
	if err := s.core.Engine.Delete(ctx, sid); err != nil {
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
		_, err = s.core.Extend(ctx, v)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("session: touch: %w", err)
	}
	return nil
}

// Save stores a session that Read returned, merging it with what others stored
// since, or puts a session of any other origin in the place of what is there.
func (s *store) Save(ctx context.Context, sess Session) error {
	if l, ok := sess.(*live); ok && l.store == s {
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

// valuesOf gets at the data of any Session.
func valuesOf(sess Session) (*txn.Values, error) {
	if base, ok := sess.(*BaseSession); ok {
		return base.values(), nil
	}
	b, err := sess.Encode()
	if err != nil {
		return nil, err
	}
	return codec.Gob.Unmarshal(b)
}

// GC sweeps in batches, each with a pause after it that is as long as the batch
// took: then at least half of the time is for the visitors, however many expired
// at once, and also when old transactions or other sweeps make a batch slow.
func (s *store) GC(ctx context.Context) error {
	for {
		begin := time.Now()
		n, err := s.core.Engine.Sweep(ctx, s.core.Now(), sweepLimit)
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

// Close ends what the backend opened.
func (s *store) Close() error {
	if c, ok := s.core.Engine.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
