// Package recordstore is the engine of sessions that are encoded as records in a
// driver.Backend.
package recordstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/codec"
	"github.com/flamego/session/internal/sessionid"
	"github.com/flamego/session/internal/txn"
)

// Unsettled is a Backend whose records may be read half written, because not only this
// library writes them: files, while servers of v1.6.6 run too.
type Unsettled interface {
	// Unsettled reports whether to load a record again. It could not be decoded when it
	// was first loaded, nor since.
	Unsettled(r driver.Record, first time.Time) bool
}

// Engine implements txn.Engine.
type Engine struct {
	backend driver.Backend // as it was given, for its optional abilities
	records driver.Backend // what is called: the backend, or hashed
	loads   *loads         // of the same, or nil
	codec   codec.Codec
	name    string // of the storage, or ""
	bad     txn.Unreadable
	proof   proof
}

// New returns the engine of a backend and a codec. Encrypted records are bound to the name.
func New(b driver.Backend, c codec.Codec, name string) txn.Engine {
	e := &Engine{backend: b, codec: c, name: name, proof: proof{turn: make(chan struct{}, 1)}}
	e.call(b)
	if _, ok := b.(driver.ManyLoader); ok {
		return manyLoader{e}
	}
	return e
}

// manyLoader is the Engine of a backend that can load several records in one round trip.
type manyLoader struct{ *Engine }

// LoadMany implements txn.ManyLoader.
func (e manyLoader) LoadMany(ctx context.Context, ids []string) (_ map[string]*txn.Version, err error) {
	defer caught(&err)
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	many := e.records.(driver.ManyLoader)
	records, err := many.LoadMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	if h, ok := many.(hashed); ok {
		if err := h.again(ctx, ids, records); err != nil {
			return nil, err
		}
	}
	found := make(map[string]*txn.Version, len(records))
	for id, r := range records {
		v, err := e.decode(id, r)
		if err != nil { // Its visitor's requests report it.
			v = &txn.Version{ID: id, Record: r}
		}
		found[id] = v
	}
	return found, nil
}

// Traits implements txn.Engine.
func (e *Engine) Traits() txn.Traits { return txn.Traits{OwnRecords: true, Shared: true} }

// MovesInOneStep implements driver.OneStepMover.
func (e *Engine) MovesInOneStep() bool {
	b, ok := e.backend.(driver.OneStepMover)
	return ok && b.MovesInOneStep()
}

// Attach checks the codec.
func (e *Engine) Attach(string) error { return e.codec.Check() }

// Backend returns the backend.
func (e *Engine) Backend() driver.Backend { return e.backend }

// HashIDs makes the backend get hashes instead of IDs. It is called before use.
func (e *Engine) HashIDs() { e.call(hashed{e.backend}) }

func (e *Engine) call(b driver.Backend) {
	e.records = b
	if _, ok := e.backend.(driver.LoadSharer); ok {
		e.loads = newLoads(b.(driver.LoadSharer))
	}
}

// Hashes reports whether HashIDs was called.
func (e *Engine) Hashes() bool { _, ok := e.records.(hashed); return ok }

// Ref implements txn.Namer.
func (e *Engine) Ref(id string) string {
	if e.Hashes() {
		return sessionid.KeyOf(id)
	}
	return id
}

// Valid implements txn.Engine.
func (e *Engine) Valid(id string, least int) bool {
	return sessionid.Valid(id, least)
}

// Load implements txn.Engine.
func (e *Engine) Load(ctx context.Context, id string) (*txn.Version, error) {
	for first := time.Now(); ; {
		r, err := e.load(ctx, id)
		if err != nil {
			return nil, err
		}
		v, err := e.decode(id, r)
		if err == nil {
			return v, nil
		}
		v = &txn.Version{ID: id, Record: r}
		if e.bad.Known(id, r.Data) {
			return v, codec.Reported{Err: err}
		}
		if b, ok := e.backend.(Unsettled); !ok || !b.Unsettled(r, first) {
			if !e.bad.Add(id, r.Data) {
				err = codec.Reported{Err: err}
			}
			return v, err
		}
		if err := txn.Pause(ctx, 3); err != nil {
			return nil, err
		}
	}
}

func (e *Engine) load(ctx context.Context, id string) (_ driver.Record, err error) {
	defer caught(&err)
	if err := e.ready(ctx); err != nil {
		return driver.Record{}, err
	}
	if e.loads != nil && e.loads.backend.SharesLoads() {
		return e.loads.load(ctx, id)
	}
	return e.records.Load(ctx, id)
}

// decode makes a version of a record. An encrypted one says in which storage and under
// which key it was stored: copied to another, it would sign somebody in as somebody else.
// What the application has encrypted by itself does not say.
func (e *Engine) decode(id string, r driver.Record) (*txn.Version, error) {
	vals, err := e.codec.Unmarshal(r.Data)
	if err != nil {
		return nil, err
	}
	if at, ok := vals.Get(txn.StoredAtKey); ok && e.codec.Renews && at != e.boundTo(id) && at != e.boundTo(e.Ref(id)) {
		return nil, &codec.DecodeError{Err: errors.New("it was encrypted for another ID or storage, and has been copied here")}
	}
	return &txn.Version{ID: id, View: vals, Record: r}, nil
}

func (e *Engine) boundTo(key string) string {
	sum := sha256.Sum256([]byte("stored at " + e.name + "\x00" + key))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// next encodes the old version with the changes applied, and calls do to store it.
func (e *Engine) next(ctx context.Context, old *txn.Version, ch *txn.Changes, id string, expiry time.Time, do func(driver.Record) error) (v *txn.Version, err error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	if e.codec.Renews {
		ch = ch.With(txn.StoredAtKey, e.boundTo(e.Ref(id)))
	}
	v, vals := old.Next(ch, id, expiry)
	raw, err := e.codec.Marshal(vals)
	if err != nil {
		return nil, err
	}
	v.Record.Data = raw
	defer caught(&err)
	return v, do(v.Record)
}

// caught makes an error of a panic of the backend, which may have done the work before: its
// answer is lost.
func caught(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v", p)
	}
}

// Create implements txn.Engine.
func (e *Engine) Create(ctx context.Context, id string, ch *txn.Changes, expiry time.Time) (*txn.Version, error) {
	return e.next(ctx, nil, ch, id, expiry, func(r driver.Record) error {
		return e.records.Create(ctx, id, r)
	})
}

// Replace implements txn.Engine.
func (e *Engine) Replace(ctx context.Context, old *txn.Version, ch *txn.Changes, expiry time.Time) (*txn.Version, error) {
	return e.next(ctx, old, ch, old.ID, expiry, func(r driver.Record) error {
		return e.records.Replace(ctx, old.ID, old.Record, r)
	})
}

// Move implements txn.Engine.
func (e *Engine) Move(ctx context.Context, old *txn.Version, newID string, ch *txn.Changes, expiry time.Time) (*txn.Version, error) {
	return e.next(ctx, old, ch, newID, expiry, func(r driver.Record) error {
		return e.records.Move(ctx, old.ID, newID, old.Record, r)
	})
}

// Touch implements txn.Engine.
func (e *Engine) Touch(ctx context.Context, old *txn.Version, expiry time.Time) (_ *txn.Version, err error) {
	defer caught(&err)
	if e.codec.Renews {
		return e.Replace(ctx, old, &txn.Changes{}, expiry)
	}
	next := *old
	next.Record.Expiry, next.Record.Version = expiry, nil
	return &next, e.records.Touch(ctx, old.ID, old.Record, expiry)
}

// Delete implements txn.Engine.
func (e *Engine) Delete(ctx context.Context, id string) (err error) {
	defer caught(&err)
	if err := e.ready(ctx); err != nil {
		return err
	}
	return e.records.Delete(ctx, id)
}

// Sweep implements txn.Engine.
func (e *Engine) Sweep(ctx context.Context, now time.Time, limit int) (int, error) {
	if err := e.ready(ctx); err != nil {
		return 0, err
	}
	return e.records.DeleteExpired(ctx, now, limit)
}

// Encode implements txn.Engine.
func (e *Engine) Encode(v txn.View, ch *txn.Changes) ([]byte, error) {
	old := &txn.Version{View: v}
	_, vals := old.Next(ch, "", time.Time{})
	return e.codec.Marshal(vals)
}

// IDs implements driver.Lister, if the backend does.
func (e *Engine) IDs(ctx context.Context) iter.Seq2[string, error] { return txn.IDs(ctx, e.backend) }

// Count implements driver.Counter, if the backend does.
func (e *Engine) Count(ctx context.Context, now time.Time) (int, error) {
	c, ok := e.backend.(driver.Counter)
	if !ok {
		return 0, fmt.Errorf("%w: %T has no method Count: add it, see session.Counter", errors.ErrUnsupported, e.backend)
	}
	return c.Count(ctx, now)
}

// Close closes the backend, if it has a Close method.
func (e *Engine) Close() error {
	if c, ok := e.backend.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
