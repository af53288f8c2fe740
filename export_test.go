package session

import (
	"bytes"
	"context"
	"errors"
	"time"
)

// NewMemoryBackend makes the memory look like a Backend, for the tests of what one
// promises. The data are a value in the session, and the version is what the memory
// compares.
func NewMemoryBackend() Backend { return &memoryBackend{newMemory()} }

type memoryBackend struct{ *memory }

func (b *memoryBackend) change(data []byte) *changes {
	return &changes{list: []change{{key: "data", val: bytes.Clone(data)}}}
}

func (b *memoryBackend) Load(ctx context.Context, id string) (Record, error) {
	snap, err := b.load(ctx, id)
	if err != nil {
		return Record{}, err
	}
	data, _ := snap.get("data")
	return Record{Data: bytes.Clone(data.([]byte)), Expiry: snap.expiry, Version: snap.values}, ctx.Err()
}

// with calls do with the version that is the old record, until nobody came between.
func (b *memoryBackend) with(ctx context.Context, id string, old Record, do func(snapshot) error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if v, ok := old.Version.(*values); ok {
			return do(snapshot{values: v})
		}
		now, err := b.Load(ctx, id)
		if errors.Is(err, ErrNotFound) || err == nil && !bytes.Equal(now.Data, old.Data) {
			return ErrConflict
		}
		if err = do(snapshot{values: now.Version.(*values)}); !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

func (b *memoryBackend) Create(ctx context.Context, id string, r Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := b.create(ctx, id, b.change(r.Data), r.Expiry)
	return err
}

func (b *memoryBackend) Replace(ctx context.Context, id string, old, r Record) error {
	return b.with(ctx, id, old, func(snap snapshot) error {
		_, err := b.replace(ctx, id, snap, b.change(r.Data), r.Expiry)
		return err
	})
}

func (b *memoryBackend) Move(ctx context.Context, id, newID string, old, r Record) error {
	return b.with(ctx, id, old, func(snap snapshot) error {
		_, err := b.move(ctx, id, newID, snap, b.change(r.Data), r.Expiry)
		return err
	})
}

func (b *memoryBackend) Touch(ctx context.Context, id string, old Record, expiry time.Time) error {
	return b.with(ctx, id, old, func(snap snapshot) error { return b.touch(ctx, id, snap, expiry) })
}

func (b *memoryBackend) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.remove(ctx, id)
}

func (b *memoryBackend) DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error) {
	return b.sweep(ctx, now, limit)
}
