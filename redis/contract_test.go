package redis

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/test/backendtest"
)

func contract(t *testing.T, server setup) {
	backendtest.Contract(t, open, func(t *testing.T) Config {
		s := server.fresh()
		c := s.client() // One for both instances, as the application's own.
		if c != nil {
			t.Cleanup(func() { assert.NoError(t, c.Close()) })
		}
		return s.config(c)
	})
}

// TestNothingToSweep checks that DeleteExpired does nothing: Redis removes expired
// keys.
func TestNothingToSweep(t *testing.T) {
	b := newBackend(t, kinds[0].start(t).fresh().config(nil))
	require.NoError(t, b.Create(t.Context(), "aaa", record("1")))
	n, err := b.DeleteExpired(t.Context(), later.Add(time.Hour), 10)
	require.NoError(t, err)
	assert.Zero(t, n)
	assert.Equal(t, "1", loadData(t, b, "aaa"))
}

// Every call that stores an expiry, stores one that is never later, to the
// millisecond, and at most so much earlier as the call took.
func TestExpiry(t *testing.T) {
	s := kinds[0].start(t).fresh()
	b, ctx, admin := newBackend(t, s.config(nil)), t.Context(), s.admin(t)
	at := time.Now().Add(90*time.Minute + 700*time.Microsecond)
	stored := func(id string) {
		t.Helper()
		ms, err := admin.PExpireTime(ctx, s.Prefix+id).Result()
		require.NoError(t, err)
		assert.WithinDuration(t, at, time.UnixMilli(ms.Milliseconds()), 250*time.Millisecond)
		r, err := b.Load(ctx, id)
		require.NoError(t, err)
		assert.False(t, r.Expiry.After(time.UnixMilli(ms.Milliseconds()+1)), "Load made the expiry later")
		assert.WithinDuration(t, at, r.Expiry, 250*time.Millisecond)
	}
	require.NoError(t, b.Create(ctx, "aaa", session.Record{Expiry: at}))
	stored("aaa")
	at = at.Add(time.Minute)
	require.NoError(t, b.Replace(ctx, "aaa", session.Record{}, session.Record{Expiry: at}))
	stored("aaa")
	at = at.Add(time.Minute)
	require.NoError(t, b.Move(ctx, "aaa", "bbb", session.Record{}, session.Record{Expiry: at}))
	stored("bbb")
	at = at.Add(-time.Hour)
	require.NoError(t, b.Touch(ctx, "bbb", session.Record{}, at))
	stored("bbb")

	// What is over is over within a millisecond, and no error.
	require.NoError(t, b.Touch(ctx, "bbb", session.Record{}, time.Now().Add(-time.Hour)))
	require.NoError(t, b.Create(ctx, "ccc", session.Record{Expiry: time.Now().Add(-time.Hour)}))
	require.NoError(t, b.Create(ctx, "ddd", session.Record{}))
	for _, id := range []string{"bbb", "ccc", "ddd"} {
		require.Eventually(t, func() bool {
			r, err := b.Load(ctx, id)
			return errors.Is(err, session.ErrNotFound) || err == nil && time.Now().After(r.Expiry)
		}, time.Second, time.Millisecond)
	}
}

func TestPX(t *testing.T) {
	for left, want := range map[time.Duration][]int64{
		time.Hour:                          {3599_999 - 50, 3599_999},
		time.Second + 999*time.Microsecond: {900, 1000},
		time.Microsecond:                   {1, 1},
		-time.Hour:                         {1, 1},
	} {
		got := px(time.Now().Add(left))
		assert.GreaterOrEqual(t, got, want[0], left)
		assert.LessOrEqual(t, got, want[1], left)
	}
	assert.EqualValues(t, 1, px(time.Time{}))
}

// What stands under the key but was not written by this library.
func TestForeignKeys(t *testing.T) {
	s := kinds[0].start(t).fresh()
	admin, ctx := s.admin(t), t.Context()

	t.Run("another type", func(t *testing.T) {
		b := newBackend(t, s.config(nil))
		require.NoError(t, admin.LPush(ctx, s.Prefix+"list", "x").Err())
		_, err := b.Load(ctx, "list")
		require.ErrorIs(t, err, session.ErrNotFound)
		require.ErrorIs(t, b.Create(ctx, "list", record("x")), session.ErrExists)
		require.ErrorIs(t, b.Replace(ctx, "list", session.Record{}, record("x")), session.ErrConflict)
		require.NoError(t, b.Create(ctx, "aaa", record("1")))
		require.ErrorIs(t, b.Move(ctx, "list", "bbb", session.Record{}, record("x")), session.ErrConflict)
		require.ErrorIs(t, b.Move(ctx, "aaa", "list", record("1"), record("x")), session.ErrExists)
		assert.Equal(t, "list", admin.Type(ctx, s.Prefix+"list").Val())
	})

	// A session that somebody stored for ever lives, and gets a TTL when it is used.
	for lifetime, want := range map[time.Duration]time.Duration{
		0: time.Minute, time.Hour: time.Minute, 30 * time.Second: 15 * time.Second, time.Second: 500 * time.Millisecond,
	} {
		t.Run("no TTL, Lifetime "+lifetime.String(), func(t *testing.T) {
			cfg := s.config(nil)
			cfg.Lifetime = lifetime
			b := newBackend(t, cfg)
			data, err := session.GobEncoder(session.Data{"k": 1})
			require.NoError(t, err)
			require.NoError(t, admin.Set(ctx, s.Prefix+"forever", data, 0).Err())
			r, err := b.Load(ctx, "forever")
			require.NoError(t, err)
			assert.Equal(t, data, r.Data)
			assert.WithinDuration(t, time.Now().Add(want), r.Expiry, 200*time.Millisecond)

			store, err := Initer()(ctx, cfg)
			require.NoError(t, err)
			require.NoError(t, store.Touch(ctx, "forever"))
			assert.Positive(t, admin.PTTL(ctx, s.Prefix+"forever").Val())
			require.NoError(t, store.(interface{ Close() error }).Close())
		})
	}
}

// The scripts are sent again to a server that does not know them any more.
func TestScriptsForgotten(t *testing.T) {
	s := ownServer(t)
	b, ctx, admin := newBackend(t, s.config(nil)), t.Context(), s.admin(t)
	require.NoError(t, b.Create(ctx, "aaa", record("1")))
	require.NoError(t, admin.ScriptFlush(ctx).Err())
	require.NoError(t, b.Replace(ctx, "aaa", record("1"), record("2")))
	require.NoError(t, admin.ScriptFlush(ctx).Err())
	require.ErrorIs(t, b.Replace(ctx, "aaa", record("1"), record("3")), session.ErrConflict)
	require.NoError(t, admin.ScriptFlush(ctx).Err())
	require.NoError(t, b.Move(ctx, "aaa", "bbb", record("2"), record("3")))
	assert.Equal(t, "3", loadData(t, b, "bbb"))
}

func TestErrorsHideIDs(t *testing.T) {
	b := &backend{}
	secret := "abcdefghijklmnopqrstuvwxyz234567"
	err := b.fail("touch", secret, errors.New("ERR unknown command 'pexpire', with args beginning with: 'session:"+secret+"' '1'"))
	assert.NotContains(t, err.Error(), secret)
	assert.Contains(t, err.Error(), "redis: touch: ERR unknown command 'pexpire'")
	require.ErrorIs(t, b.fail("load", secret, context.Canceled), context.Canceled)
}
