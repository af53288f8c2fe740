package session

import (
	"context"
	"io"
	"time"
)

// unsettled is a Backend whose records may be seen half written, because others
// than this library write to them: files, while servers of v1.6.6 run as well.
type unsettled interface {
	// Unsettled tells whether to load a record again that could not be decoded when
	// it was loaded at first, nor since.
	Unsettled(r Record, first time.Time) bool
}

// recordEngine keeps sessions as encoded records in a Backend.
type recordEngine struct {
	backend Backend
	codec   codec
	bad     unreadable
}

func (e *recordEngine) load(ctx context.Context, id string) (snapshot, error) {
	for first := time.Now(); ; {
		r, err := e.backend.Load(ctx, id)
		if err != nil {
			return snapshot{}, err
		}
		v, err := e.codec.unmarshal(r.Data)
		if err == nil {
			return snapshot{values: v, raw: r.Data, version: r.Version, expiry: r.Expiry}, nil
		}
		if e.bad.known(id, r.Data) {
			return snapshot{}, reportedError{err}
		}
		if b, ok := e.backend.(unsettled); !ok || !b.Unsettled(r, first) {
			if !e.bad.add(id, r.Data) {
				err = reportedError{err}
			}
			return snapshot{}, err
		}
		if err := pause(ctx, 3); err != nil {
			return snapshot{}, err
		}
	}
}

// record is what a Backend compares with.
func (s snapshot) record() Record {
	return Record{Data: s.raw, Expiry: s.expiry, Version: s.version}
}

// next encodes the version that the changes make of the old one.
func (e *recordEngine) next(old snapshot, ch *changes, expiry time.Time) (snapshot, Record, error) {
	v := ch.apply(old.values)
	raw, err := e.codec.marshal(v)
	if err != nil {
		return snapshot{}, Record{}, err
	}
	return snapshot{values: v, raw: raw, expiry: expiry}, Record{Data: raw, Expiry: expiry}, nil
}

func (e *recordEngine) create(ctx context.Context, id string, ch *changes, expiry time.Time) (snapshot, error) {
	snap, rec, err := e.next(snapshot{}, ch, expiry)
	if err == nil {
		err = e.backend.Create(ctx, id, rec)
	}
	return snap, err
}

func (e *recordEngine) replace(ctx context.Context, id string, old snapshot, ch *changes, expiry time.Time) (snapshot, error) {
	snap, rec, err := e.next(old, ch, expiry)
	if err == nil {
		err = e.backend.Replace(ctx, id, old.record(), rec)
	}
	return snap, err
}

func (e *recordEngine) move(ctx context.Context, id, newID string, old snapshot, ch *changes, expiry time.Time) (snapshot, error) {
	snap, rec, err := e.next(old, ch, expiry)
	if err == nil {
		err = e.backend.Move(ctx, id, newID, old.record(), rec)
	}
	return snap, err
}

func (e *recordEngine) touch(ctx context.Context, id string, old snapshot, expiry time.Time) error {
	return e.backend.Touch(ctx, id, old.record(), expiry)
}

func (e *recordEngine) remove(ctx context.Context, id string) error {
	return e.backend.Delete(ctx, id)
}

func (e *recordEngine) sweep(ctx context.Context, now time.Time, limit int) (int, error) {
	return e.backend.DeleteExpired(ctx, now, limit)
}

func (e *recordEngine) encode(old snapshot, ch *changes) ([]byte, error) {
	snap, _, err := e.next(old, ch, time.Time{})
	return snap.raw, err
}

func (e *recordEngine) Close() error {
	if c, ok := e.backend.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
