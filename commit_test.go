package session

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDestroyBetweenTheSteps has another goroutine destroy the session between the
// first two steps of a commit. What it puts in afterwards must not be stored before
// the old record is gone, or else the next Destroy would forget about that (G6).
func TestDestroyBetweenTheSteps(t *testing.T) {
	st, first := newStore(newMemory(), 0), "0123456789abcdef"
	sess, err := st.Read(t.Context(), first)
	require.NoError(t, err)
	s := sess.(*liveSession)
	require.NoError(t, s.commit(t.Context()))
	require.True(t, st.Exist(t.Context(), first))

	s.Set("k", 1)
	require.NoError(t, s.removeEnded(t.Context())) // Step 1.
	s.destroy()
	s.Set("k", 2)
	a, ch, err := s.takeUp() // Step 2.
	require.NoError(t, err)
	if ch != nil {
		s.settle(a, s.put(t.Context(), &a, ch))
	}
	s.destroy()
	require.NoError(t, s.commit(t.Context()))
	assert.False(t, st.Exist(t.Context(), first))
}
