package session_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

func inc(n int) int { return n + 1 }

// TestUpdateDuringCommit updates during a commit that has to be rebased on a newer
// version: the later Update goes on top of that (G4).
func TestUpdateDuringCommit(t *testing.T) {
	ctx := context.Background()
	b := newFaultyBackend()
	store := session.NewStore(b, session.StoreConfig{})
	id := "0123456789abcdef"
	other := func(n int) {
		s, err := store.Read(ctx, id)
		require.NoError(t, err)
		s.Set("n", n)
		require.NoError(t, store.Save(ctx, s))
	}
	other(0)
	s, err := store.Read(ctx, id)
	require.NoError(t, err)
	session.Update(s, "n", inc)
	b.before("Replace", func() {
		session.Update(s, "n", inc)
		other(100)
	})
	require.NoError(t, store.Save(ctx, s))
	require.NoError(t, store.Save(ctx, s))
	s, err = store.Read(ctx, id)
	require.NoError(t, err)
	assert.Equal(t, 102, s.Get("n"))
}

// TestDestroyDuringCommit reads the session after Destroy, while a commit of its old
// values is under way.
func TestDestroyDuringCommit(t *testing.T) {
	ctx := context.Background()
	b := newFaultyBackend()
	store := session.NewStore(b, session.StoreConfig{})
	id := "0123456789abcdef"
	s, err := store.Read(ctx, id)
	require.NoError(t, err)
	s.Set("a", 1)
	require.NoError(t, store.Save(ctx, s))
	s.Set("user", 1)
	b.before("Replace", func() {
		session.Destroy(s)
		assert.Nil(t, s.Get("user"), "what the ended session held")
	})
	require.NoError(t, store.Save(ctx, s))
	require.NoError(t, store.Save(ctx, s))
	assert.Empty(t, b.records)
}

// TestDestroyNoID calls the injected Store's Destroy with the empty ID of a missing
// cookie.
func TestDestroyNoID(t *testing.T) {
	a := newApp(t)
	a.Get("/", func(s session.Session, st session.Store) error {
		s.Set("k", 1)
		return st.Destroy(context.Background(), "")
	})
	a.Get("/read", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	_, id := a.get("/", "")
	rec, _ := a.get("/read", id)
	assert.Equal(t, "1", rec.Body.String())
}

// TestDeleteAfterUpdate deletes a key that Update has set to nil so far.
func TestDeleteAfterUpdate(t *testing.T) {
	ctx := context.Background()
	b := newFaultyBackend()
	store := session.NewStore(b, session.StoreConfig{})
	id := "0123456789abcdef"
	s, err := store.Read(ctx, id)
	require.NoError(t, err)
	s.Set("a", 1)
	require.NoError(t, store.Save(ctx, s))
	session.Update(s, "k", func(v any) any { return v })
	s.Delete("k")
	o, err := store.Read(ctx, id)
	require.NoError(t, err)
	o.Set("k", 1)
	require.NoError(t, store.Save(ctx, o))
	require.NoError(t, store.Save(ctx, s))
	s, err = store.Read(ctx, id)
	require.NoError(t, err)
	assert.Nil(t, s.Get("k"))
}
