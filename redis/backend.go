package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/flamego/session/driver"
)

// backend is a driver.Backend with one string per session.
type backend struct {
	client redis.UniversalClient
	prefix string
	grace  time.Duration // how long a key without an expiry is said to have left
	own    bool

	countLives time.Duration
}

var _ driver.Backend = (*backend)(nil)

// Load implements driver.Backend. The expiry counts from before the call, so that it
// does not become later. A key without an expiry was not written by this library; it is
// a live session with little time left, so the next request gives it an expiry. A key of
// another type is not a session: an error would lock its visitor out.
func (b *backend) Load(ctx context.Context, id string) (driver.Record, error) {
	now := time.Now()
	pipe := b.client.Pipeline()
	get, ttl := pipe.Get(ctx, b.prefix+id), pipe.PTTL(ctx, b.prefix+id)
	_, unsent := pipe.Exec(ctx)
	data, err := get.Bytes()
	if errors.Is(err, redis.Nil) || isWrongType(err) {
		return driver.Record{}, driver.ErrNotFound
	}
	if err == nil {
		// Up to 9.19, if a pipeline finds no connection, its commands have no error of their
		// own.
		err = cmp.Or(ttl.Err(), unsent)
	}
	if err != nil {
		return driver.Record{}, b.fail("load", id, err)
	}
	switch left := ttl.Val(); left {
	case -2: // It expired in between.
		return driver.Record{}, driver.ErrNotFound
	case -1:
		return driver.Record{Data: data, Expiry: time.Now().Add(b.grace)}, nil
	default:
		return driver.Record{Data: data, Expiry: now.Add(left)}, nil
	}
}

// Create implements driver.Backend.
func (b *backend) Create(ctx context.Context, id string, r driver.Record) error {
	err := b.once(ctx, "set", b.prefix+id, r.Data, "px", px(r.Expiry), "nx").Err()
	if errors.Is(err, redis.Nil) {
		return driver.ErrExists
	}
	return b.fail("create", id, err)
}

// Replace implements driver.Backend.
func (b *backend) Replace(ctx context.Context, id string, old, r driver.Record) error {
	return b.fail("replace", id, b.run(ctx, swap, id, old.Data, r.Data, px(r.Expiry)))
}

// Move implements driver.Backend in two steps, since the keys may be on two nodes of a
// Cluster. Nobody knows the new ID before it returns.
func (b *backend) Move(ctx context.Context, id, newID string, old, r driver.Record) error {
	// 1. Store the new record. Until step 2 is done, the old one is the session.
	if err := b.Create(ctx, newID, r); err != nil {
		return err
	}
	// 2. Remove the old record, unless it has changed.
	err := b.run(ctx, remove, id, old.Data)
	if err == nil {
		return nil
	}
	// 3. Undo step 1. If the error leaves open whether step 2 was done, the commit fails,
	// and nobody learns the new ID either.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if undo := b.Delete(ctx, newID); undo != nil && errors.Is(err, driver.ErrConflict) {
		return undo // The library would try the same new ID again.
	}
	return b.fail("move", id, err)
}

// undoTimeout bounds undoing a Move, whose own context may have ended.
const undoTimeout = time.Second

// Touch implements driver.Backend.
func (b *backend) Touch(ctx context.Context, id string, old driver.Record, expiry time.Time) error {
	return b.fail("touch", id, b.run(ctx, touch, id, old.Data, px(expiry)))
}

// Delete implements driver.Backend.
func (b *backend) Delete(ctx context.Context, id string) error {
	return b.fail("delete", id, b.client.Del(ctx, b.prefix+id).Err())
}

// DeleteExpired implements driver.Backend. It does nothing: Redis removes expired keys.
func (b *backend) DeleteExpired(context.Context, time.Time, int) (int, error) {
	return 0, nil
}

// Close closes the client, if it is the library's.
func (b *backend) Close() error {
	if !b.own {
		return nil
	}
	return b.client.Close()
}

// px is an expiry in milliseconds from now, truncated. So the server's clock does not
// matter.
func px(expiry time.Time) int64 {
	return max(1, time.Until(expiry).Milliseconds())
}

// fail adds the backend's name to an error, and removes the ID: the server may repeat
// arguments in its message.
func (b *backend) fail(op, id string, err error) error {
	if err == nil || errors.Is(err, driver.ErrConflict) {
		return err
	}
	var answer redis.Error
	if c, ok := b.client.(*redis.ClusterClient); ok && !errors.As(err, &answer) {
		// A replica may have taken over. By itself the client would find out after a minute,
		// and until then calls for the old master's sessions would fail.
		c.ReloadState(context.Background())
	}
	if id != "" && strings.Contains(err.Error(), id) {
		err = errors.New(strings.ReplaceAll(err.Error(), id, "…"))
	}
	return fmt.Errorf("redis: %s: %w", op, err)
}
