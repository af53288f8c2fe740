package session_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

// TestExpiredInStore uses the Store on a record that has expired, but that GC has
// not removed yet: there is no such session (G9).
func TestExpiredInStore(t *testing.T) {
	for name, in := range map[string]session.Initer{
		"memory":  session.MemoryIniter(),
		"backend": initer(newMapBackend(), session.StoreConfig{}),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, now, id := context.Background(), time.Unix(1e9, 0), "0123456789abcdef"
			opt := session.Options{Initer: in}
			hook.SetClock(&opt, func() time.Time { return now })
			m, err := session.NewManager(opt)
			require.NoError(t, err)
			defer func() { _ = m.Close(ctx) }()
			store := m.Store()
			s, err := store.Read(ctx, id)
			require.NoError(t, err)
			s.Set("k", 1)
			require.NoError(t, session.Remember(s, time.Hour))
			require.NoError(t, store.Save(ctx, s))

			now = now.Add(2 * time.Hour)
			require.False(t, store.Exist(ctx, id))
			require.NoError(t, store.Touch(ctx, id))
			assert.False(t, store.Exist(ctx, id), "Touch brought an expired session back")

			now = now.Add(2 * time.Hour)
			s, err = store.Read(ctx, id)
			require.NoError(t, err)
			assert.Nil(t, s.Get("k"))
			s.Set("j", 2)
			assert.NoError(t, store.Save(ctx, s), "the ID is free again")
			s, err = store.Read(ctx, id)
			require.NoError(t, err)
			assert.Equal(t, 2, s.Get("j"))
			assert.Nil(t, s.Get("k"))
			assert.Nil(t, s.Get("flamego::session::lifetime"), "it is another session")
			assert.Nil(t, s.Get("flamego::session::remember"), "it is another session")
		})
	}
}
