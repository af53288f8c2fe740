package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
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
	// Lifetime is the duration to have no access to a session before it expires.
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
	return min(d, maxLifetime)
}

// snapshot is one stored version of a session.
type snapshot struct {
	*values
	raw     []byte    // the stored bytes, where there are bytes
	version any       // Record.Version, where it was loaded and not touched since
	foreign Session   // the session, where the Store is not ours
	left    bool      // the same, and the application removes the old record itself when the session moves
	sealed  *sealed   // where the client keeps the session
	expiry  time.Time // unknown where the Store is not ours
}

func (s snapshot) get(key any) (any, bool) {
	if s.foreign != nil {
		val := s.foreign.Get(key)
		return val, val != nil
	}
	if s.values == nil {
		return nil, false
	}
	return s.values.get(key)
}

// engine is what the request flow works on: a Backend with a codec, the memory,
// or a Store that is not ours. The errors are those of a Backend, and a
// decodeError from load.
type engine interface {
	load(ctx context.Context, id string) (snapshot, error)
	// create and replace do the changes on top of nothing or of the old version,
	// and return what is stored then.
	create(ctx context.Context, id string, ch *changes, expiry time.Time) (snapshot, error)
	replace(ctx context.Context, id string, old snapshot, ch *changes, expiry time.Time) (snapshot, error)
	move(ctx context.Context, id, newID string, old snapshot, ch *changes, expiry time.Time) (snapshot, error)
	touch(ctx context.Context, id string, old snapshot, expiry time.Time) error
	remove(ctx context.Context, id string) error
	sweep(ctx context.Context, now time.Time, limit int) (int, error)
	encode(old snapshot, ch *changes) ([]byte, error)
}

// sweepLimit is how many expired records are removed in one go.
const sweepLimit = 1000

// store is the Store that the library makes, of any engine.
type store struct {
	engine
	lifetime time.Duration
	now      func() time.Time
	absolute time.Duration // 0: sessions last as long as they are used
	local    bool          // the engine never waits, so that it needs no deadline
	inClient bool          // the client keeps the sessions, see clientEngine
	renews   bool          // a record is encoded anew, not touched, when its expiry slides
	place    place         // of the Manager that uses it, zero without one
	queues   queues
}

var _ Store = (*store)(nil)

// attach ties the store to the Manager that uses it. What a second Manager tells
// its clients must not open sessions of the first: records say where they belong,
// and a store without records takes one place only.
func (s *store) attach(o *Options) error {
	at := o.place()
	if _, marks := s.engine.(*recordEngine); !marks && s.place != (place{}) && s.place != at {
		return fmt.Errorf("Options.Initer returned a Store that another Manager uses for the %s, so each would take the other's sessions: return one for the %s alone", s.place, at)
	}
	if s.place == (place{}) {
		s.place = at
		if e, ok := s.engine.(*clientEngine); ok {
			e.place = at
		}
		if o.now != nil {
			s.now = o.now
		}
	}
	s.absolute = o.AbsoluteLifetime
	switch e := s.engine.(type) {
	case *recordEngine:
		return checkCodec(e.codec)
	case *clientEngine:
		return checkCodec(e.codec)
	}
	return nil
}

// NewStore returns a Store that keeps its records in the Backend. The Store has
// a Close method if the Backend has one.
func NewStore(b Backend, cfg StoreConfig) Store {
	e := &recordEngine{backend: b, codec: newCodec(cfg.Encoder, cfg.Decoder)}
	s := newStore(e, cfg.Lifetime)
	s.renews = cfg.Encoder != nil && same(cfg.Encoder, (&Cipher{}).Encode)
	return s
}

func newStore(e engine, lifetime time.Duration) *store {
	if lifetime != 0 && lifetime < time.Second {
		slog.Warn("session: a lifetime under a second is taken for an hour: write Config.Lifetime as 30 * time.Minute, with its unit", "Lifetime", lifetime)
	}
	return &store{engine: e, lifetime: defaultLifetime(lifetime), now: time.Now}
}

// names tells whether a value may be what a client holds: nothing gets further
// before this said yes.
func (s *store) names(value string, least int) bool {
	if s.inClient {
		return validToken(value)
	}
	return validID(value, least)
}

// find loads a session that has not expired, or returns ErrNotFound.
func (s *store) find(ctx context.Context, id string) (snapshot, error) {
	snap, err := s.load(ctx, id)
	if err != nil {
		return snapshot{}, err
	}
	if s.over(snap, s.now()) || snap.terms().forward != "" {
		return snapshot{}, ErrNotFound
	}
	return snap, nil
}

func (s *store) Exist(ctx context.Context, sid string) bool {
	if !s.names(sid, minimumSIDLength) {
		return false
	}
	_, err := s.find(ctx, sid)
	return err == nil
}

func (s *store) Read(ctx context.Context, sid string) (Session, error) {
	if s.inClient && validToken(sid) {
		if snap, err := s.find(ctx, sid); err == nil {
			return &liveSession{store: s, id: snap.sealed.id, base: snap, stored: true}, nil
		}
	}
	if err := checkID(sid); err != nil {
		return nil, err
	}
	snap, err := s.find(ctx, sid)
	switch {
	case err == nil:
		return &liveSession{store: s, id: sid, base: snap, stored: true}, nil
	case errors.Is(err, ErrNotFound):
		return &liveSession{store: s, id: sid, asked: true}, nil
	default:
		return nil, fmt.Errorf("session: read: %w", err)
	}
}

func (s *store) Destroy(ctx context.Context, sid string) error {
	if !validID(sid, minimumSIDLength) {
		return nil // There can be no such session.
	}
	if s.inClient {
		return fmt.Errorf("session: destroy: %w", errInClient)
	}
	if err := s.remove(ctx, sid); err != nil {
		return fmt.Errorf("session: destroy: %w", err)
	}
	return nil
}

func (s *store) Touch(ctx context.Context, sid string) error {
	if !s.names(sid, minimumSIDLength) {
		return nil
	}
	// A record that expired, but is still there, must not come back.
	snap, err := s.find(ctx, sid)
	if err == nil {
		err = s.touch(ctx, sid, snap, s.expiry(s.now(), snap.terms()))
	}
	// In a conflict somebody else has just written it, with the right expiry.
	if err != nil && !isGone(err) {
		return fmt.Errorf("session: touch: %w", err)
	}
	return nil
}

// Save stores a session that Read returned, merging it with what others stored
// since, or puts a session of any other origin in the place of what is there.
func (s *store) Save(ctx context.Context, sess Session) error {
	if live, ok := sess.(*liveSession); ok && live.store == s {
		return Commit(ctx, live)
	}
	if s.inClient {
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
	live := target.(*liveSession)
	live.Flush()
	for _, p := range vals.pairs {
		live.set(p.Key, p.Value)
	}
	return live.commit(ctx)
}

// valuesOf gets at the data of any Session.
func valuesOf(sess Session) (*values, error) {
	if base, ok := sess.(*BaseSession); ok {
		return base.values(), nil
	}
	b, err := sess.Encode()
	if err != nil {
		return nil, err
	}
	return gobCodec.unmarshal(b)
}

// GC sweeps in batches, each with a pause after it that is as long as the batch
// took: then at least half of the time is for the visitors, however many expired
// at once, and also when old transactions or other sweeps make a batch slow.
func (s *store) GC(ctx context.Context) error {
	for {
		begin := time.Now()
		n, err := s.sweep(ctx, s.now(), sweepLimit)
		if err != nil {
			return fmt.Errorf("session: sweep: %w", err)
		}
		if n < sweepLimit {
			return nil
		}
		if err := wait(ctx, time.Since(begin)); err != nil {
			return fmt.Errorf("session: sweep: %w", err)
		}
	}
}

// Close ends what the backend opened.
func (s *store) Close() error {
	if c, ok := s.engine.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
