package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/share"
)

// backend is a driver.Backend with one string per session.
type backend struct {
	client redis.UniversalClient
	prefix string
	grace  time.Duration // how long a key without an expiry is said to have left
	own    bool
	slots  atomic.Bool // a script cannot have two keys, although there is one address
	writes *share.Calls[onceCmd, struct{}]
}

var (
	_ driver.Backend      = (*backend)(nil)
	_ driver.LoadSharer   = (*backend)(nil)
	_ driver.OneStepMover = (*backend)(nil)
)

// Load implements driver.Backend.
func (b *backend) Load(ctx context.Context, id string) (driver.Record, error) {
	now, pipe := time.Now(), b.client.Pipeline()
	q := b.ask(ctx, pipe, id)
	_, unsent := pipe.Exec(ctx)
	r, err := q.record(now, b.grace, unsent)
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return driver.Record{}, b.fail("load", id, err)
	}
	return r, err
}

// LoadMany implements driver.ManyLoader in one pipeline, which on a Cluster goes to all
// nodes concerned at the same time.
func (b *backend) LoadMany(ctx context.Context, ids []string) (map[string]driver.Record, error) {
	if len(ids) == 0 {
		return nil, b.fail("load many", "", ctx.Err())
	}
	now, pipe := time.Now(), b.client.Pipeline()
	qs := make([]question, len(ids))
	for i, id := range ids {
		qs[i] = b.ask(ctx, pipe, id)
	}
	_, unsent := pipe.Exec(ctx)
	found := make(map[string]driver.Record, len(ids))
	for i, id := range ids {
		r, err := qs[i].record(now, b.grace, unsent)
		switch {
		case err == nil:
			found[id] = r
		case !errors.Is(err, driver.ErrNotFound):
			return nil, b.fail("load many", id, err)
		}
	}
	return found, nil
}

// SharesLoads implements driver.LoadSharer. In a pipeline to several servers, one that is
// down would keep the answers of the others waiting.
func (b *backend) SharesLoads() bool {
	_, single := b.client.(*redis.Client)
	return single
}

// question is what a pipeline asks about one key.
type question struct {
	get *redis.StringCmd
	ttl *redis.Cmd // not a DurationCmd, in which no answer looks like 0
}

func (b *backend) ask(ctx context.Context, pipe redis.Pipeliner, id string) question {
	return question{pipe.Get(ctx, b.prefix+id), pipe.Do(ctx, "pttl", b.prefix+id)}
}

// record returns the answer. The expiry counts from before the call, so that it does not
// become later. A key without an expiry was not written by this library; it is a live
// session with little time left, so the next request gives it an expiry. A key of
// another type is not a session: an error would lock its visitor out.
func (q question) record(asked time.Time, grace time.Duration, unsent error) (driver.Record, error) {
	data, err := q.get.Bytes()
	if errors.Is(err, redis.Nil) || isWrongType(err) {
		return driver.Record{}, driver.ErrNotFound
	}
	if err != nil {
		return driver.Record{}, err
	}
	left, err := q.ttl.Int64()
	if err != nil {
		// Up to 9.19, if a pipeline finds no connection, its commands have no error of their
		// own.
		return driver.Record{}, cmp.Or(q.ttl.Err(), unsent, err)
	}
	switch left {
	case -2: // It expired in between.
		return driver.Record{}, driver.ErrNotFound
	case -1:
		return driver.Record{Data: data, Expiry: time.Now().Add(grace)}, nil
	}
	return driver.Record{Data: data, Expiry: asked.Add(time.Duration(left) * time.Millisecond)}, nil
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
	return b.fail("replace", id, b.run(ctx, swap, []string{id}, old.Data, r.Data, px(r.Expiry)))
}

// Move implements driver.Backend, in one step if both keys are on one server.
func (b *backend) Move(ctx context.Context, id, newID string, old, r driver.Record) error {
	if b.MovesInOneStep() {
		err := b.run(ctx, move, []string{id, newID}, old.Data, r.Data, px(r.Expiry))
		if !errors.Is(err, redis.ErrCrossSlot) && !redis.HasErrorPrefix(err, "CROSSSLOT") {
			return b.fail("move", id, hide(newID, err))
		}
		b.slots.Store(true) // It is a Cluster of one node, or a proxy. Nothing was done.
	}
	// 1. Store the new record. Until step 2 is done, the old one is the session.
	if err := b.Create(ctx, newID, r); err != nil {
		return err
	}
	// 2. Remove the old record, unless it has changed.
	err := b.run(ctx, remove, []string{id}, old.Data)
	if !errors.Is(err, driver.ErrConflict) {
		return b.fail("move", id, err) // After an error the library finds out what was done.
	}
	// 3. Undo step 1, unless others have changed or ended the new record.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if undo := b.run(ctx, remove.repeatable(), []string{newID}, r.Data); undo != nil && !errors.Is(undo, driver.ErrConflict) {
		return b.fail("move", newID, undo) // The library would try the same new ID again.
	}
	return err
}

// undoTimeout limits the undo of a call whose own context may have ended.
const undoTimeout = time.Second

// MovesInOneStep implements driver.OneStepMover.
func (b *backend) MovesInOneStep() bool { return b.SharesLoads() && !b.slots.Load() }

// Touch implements driver.Backend.
func (b *backend) Touch(ctx context.Context, id string, old driver.Record, expiry time.Time) error {
	return b.fail("touch", id, b.run(ctx, touch, []string{id}, old.Data, px(expiry)))
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
	if err == nil || errors.Is(err, driver.ErrConflict) || errors.Is(err, driver.ErrExists) {
		return err
	}
	var answer redis.Error
	if c, ok := b.client.(*redis.ClusterClient); ok && !errors.As(err, &answer) {
		// A replica may have taken over. By itself the client would find out after a minute,
		// and until then calls for the old master's sessions would fail.
		c.ReloadState(context.Background())
	}
	if passes(err) {
		return fmt.Errorf("redis: %s: %w: %w", op, driver.ErrUnavailable, hide(id, err))
	}
	if strings.HasPrefix(err.Error(), "NOPERM") {
		err = fmt.Errorf("%w: allow the user in Config.Options the commands in docs/backends/redis.md, on the keys of Config.KeyPrefix", err)
	}
	return fmt.Errorf("redis: %s: %w", op, hide(id, err))
}

func hide(id string, err error) error {
	if err == nil || id == "" || !strings.Contains(err.Error(), id) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), id, "…"))
}

// passes reports whether an error passes by itself: there is no connection, or the server is
// starting, failing over or out of connections. Others have a cause that somebody has to
// remove.
func passes(err error) bool {
	for _, is := range []func(error) bool{
		redis.IsLoadingError, redis.IsReadOnlyError, redis.IsMasterDownError, redis.IsNoReplicasError,
		redis.IsClusterDownError, redis.IsTryAgainError, redis.IsMaxClientsError,
	} {
		if is(err) {
			return true
		}
	}
	if errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) || errors.Is(err, driver.ErrUnavailable) {
		return true
	}
	text := err.Error() // Some errors of go-redis have no name.
	return strings.Contains(text, "ring shards are down") || strings.Contains(text, "sentinels specified in configuration are unreachable")
}
