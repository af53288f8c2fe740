package memstore_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/flamego/session"
	"github.com/flamego/session/driver"
	"github.com/flamego/session/driver/drivertest"
	"github.com/flamego/session/internal/memstore"
	"github.com/flamego/session/internal/txn"
)

// TestContract checks that the memory engine keeps the contract of a driver.Backend.
func TestContract(t *testing.T) {
	drivertest.Backend(t, func(*testing.T) func() session.Backend {
		b := backend{memstore.New()}
		return func() session.Backend { return b }
	})
}

// backend makes the memory engine look like a Backend. The data are a value in the
// session, and Version is what the engine compares.
type backend struct{ e *memstore.Engine }

func put(data []byte) *txn.Changes {
	ch := &txn.Changes{}
	ch.Set("data", bytes.Clone(data))
	return ch
}

func (b backend) Load(ctx context.Context, id string) (driver.Record, error) {
	v, err := b.e.Load(ctx, id)
	if err != nil {
		return driver.Record{}, err
	}
	data, _ := v.View.Get("data")
	return driver.Record{Data: bytes.Clone(data.([]byte)), Expiry: v.Record.Expiry, Version: v}, ctx.Err()
}

// with calls do with the version of the old record, again if another call came first.
func (b backend) with(ctx context.Context, id string, old driver.Record, do func(*txn.Version) error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if v, ok := old.Version.(*txn.Version); ok {
			return do(v)
		}
		now, err := b.Load(ctx, id)
		if errors.Is(err, driver.ErrNotFound) || err == nil && !bytes.Equal(now.Data, old.Data) {
			return driver.ErrConflict
		}
		if err != nil {
			return err
		}
		if err = do(now.Version.(*txn.Version)); !errors.Is(err, driver.ErrConflict) {
			return err
		}
	}
}

func (b backend) Create(ctx context.Context, id string, r driver.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := b.e.Create(ctx, id, put(r.Data), r.Expiry)
	return err
}

func (b backend) Replace(ctx context.Context, id string, old, r driver.Record) error {
	return b.with(ctx, id, old, func(v *txn.Version) error {
		_, err := b.e.Replace(ctx, v, put(r.Data), r.Expiry)
		return err
	})
}

func (b backend) Move(ctx context.Context, id, newID string, old, r driver.Record) error {
	return b.with(ctx, id, old, func(v *txn.Version) error {
		_, err := b.e.Move(ctx, v, newID, put(r.Data), r.Expiry)
		return err
	})
}

func (b backend) Touch(ctx context.Context, id string, old driver.Record, expiry time.Time) error {
	return b.with(ctx, id, old, func(v *txn.Version) error {
		_, err := b.e.Touch(ctx, v, expiry)
		return err
	})
}

func (b backend) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.e.Delete(ctx, id)
}

func (b backend) DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error) {
	return b.e.Sweep(ctx, now, limit)
}
