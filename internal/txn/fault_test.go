package txn_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/memstore"
	"github.com/flamego/session/internal/sessionid"
	"github.com/flamego/session/internal/txn"
)

var errDown = errors.New("the store is down")

// failingEngine fails one call, counted from 1.
type failingEngine struct {
	*memstore.Engine
	calls, fails int
}

func (e *failingEngine) down() bool {
	e.calls++
	return e.calls == e.fails
}

func (e *failingEngine) Load(ctx context.Context, id string) (*txn.Version, error) {
	if e.down() {
		return nil, errDown
	}
	return e.Engine.Load(ctx, id)
}

func (e *failingEngine) Create(ctx context.Context, id string, ch *txn.Changes, expiry time.Time) (*txn.Version, error) {
	if e.down() {
		return nil, errDown
	}
	return e.Engine.Create(ctx, id, ch, expiry)
}

func (e *failingEngine) Replace(ctx context.Context, old *txn.Version, ch *txn.Changes, expiry time.Time) (*txn.Version, error) {
	if e.down() {
		return nil, errDown
	}
	return e.Engine.Replace(ctx, old, ch, expiry)
}

func (e *failingEngine) Move(ctx context.Context, old *txn.Version, newID string, ch *txn.Changes, expiry time.Time) (*txn.Version, error) {
	if e.down() {
		return nil, errDown
	}
	return e.Engine.Move(ctx, old, newID, ch, expiry)
}

func (e *failingEngine) Touch(ctx context.Context, old *txn.Version, expiry time.Time) (*txn.Version, error) {
	if e.down() {
		return nil, errDown
	}
	return e.Engine.Touch(ctx, old, expiry)
}

func (e *failingEngine) Delete(ctx context.Context, id string) error {
	if e.down() {
		return errDown
	}
	return e.Engine.Delete(ctx, id)
}

// TestEveryCallFails goes through the life of a session, with a failure of each call of
// the store in turn. What needs the call has to say so, and nothing may panic.
func TestEveryCallFails(t *testing.T) {
	calls := 0
	for fails := 0; fails <= calls; fails++ {
		e := &failingEngine{Engine: memstore.New(), fails: fails}
		var reported []error
		err := lifeOf(t.Context(), e, func(_ context.Context, err error) { reported = append(reported, err) })
		if err = errors.Join(append(reported, err)...); fails == 0 {
			require.NoError(t, err)
			calls = e.calls
			require.Greater(t, calls, 30)
			continue
		}
		if assert.ErrorIs(t, err, errDown, "call %d", fails) {
			assert.NotContains(t, err.Error(), "panic", "call %d", fails)
		}
	}
}

// lifeOf signs in, slides, leaves a flash, rotates, renews, and is found by the old ID,
// listed and ended. It goes on after errors.
func lifeOf(ctx context.Context, e txn.Engine, report func(context.Context, error)) error {
	now, step := time.Unix(1e9, 0), 10*time.Minute
	store := txn.NewStore(e, time.Hour)
	store.Now, store.Report = func() time.Time { return now }, report
	store.RenewEvery, store.MaxPerOwner = step, 2
	var errs []error
	note := func(err error) {
		errs = append(errs, err)
		now = now.Add(step)
	}
	use := func(id string, change func(s *txn.Session), refresh, renew bool) (next string) {
		var s txn.Session
		s.New(store, host{})
		if id != "" {
			v, err := store.Find(ctx, id)
			if err == nil {
				v, _, err = store.Open(ctx, v, true)
			}
			if err == nil {
				s.Begin(v)
			}
			note(ignoreGone(err))
		}
		change(&s)
		st, err := s.Seal(ctx, refresh, renew)
		note(ignoreGone(err))
		return string(st.Token)
	}
	id := use("", func(s *txn.Session) {
		s.Set("k", 1)
		s.Set(txn.FlashKey, "hello")
		note(s.SetOwner("ann", "h", "", nil))
	}, false, false)
	id = use(id, func(s *txn.Session) { s.Update("k", func(old any) any { return old }) }, true, false)
	id = use(id, func(s *txn.Session) { note(s.Rotate(sessionid.New(32))) }, false, false)
	old := id
	id = use(id, func(s *txn.Session) {
		s.Set("k", 2)
		use(id, func(other *txn.Session) { other.Set("j", 1) }, false, false) // So that there is a conflict.
		now = now.Add(-step)
	}, false, true)
	now = now.Add(-step) // While the old ID is still good.
	use(old, func(s *txn.Session) {
		_, err := s.Take(ctx, "k", func(any) bool { return true })
		note(ignoreGone(err))
	}, false, false)
	use("", func(s *txn.Session) { s.Set("k", 1); note(s.SetOwner("ann", "i", "", nil)) }, false, false)
	_, err := store.Sessions(ctx, "", "ann")
	note(err)
	note(store.End(ctx, id))
	err = store.EndAll(ctx, "", "ann", nil)
	note(err)
	return errors.Join(errs...)
}

// ignoreGone ignores that a session is not there, after a failure.
func ignoreGone(err error) error {
	if errors.Is(err, driver.ErrNotFound) || errors.Is(err, txn.ErrEnded) {
		return nil
	}
	return err
}
