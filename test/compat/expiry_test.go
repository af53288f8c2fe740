package compat

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slack is for what the test itself takes, and for the whole seconds of v1.6.6.
const slack = 30 * time.Second

// ends returns how long after its last access, by the one version, a session is
// over for the other.
func ends(st storage, writer, reader *server) time.Duration {
	switch {
	case writer.m == nil:
		return lifetime // We take v1.6.6 at its word.
	case reader.m == nil && st.doubles:
		return 2*lifetime + lifetime/20 // As it does with its own.
	default:
		return lifetime + lifetime/20
	}
}

// Each version takes the other's last access for one.
func TestExpiry(t *testing.T) {
	bothWays(t, func(t *testing.T, st storage, first, second start) {
		a, b, cfg := fleet(t, st, first, second)

		v := newVisitor(t)
		v.signIn(a, a, "ann")
		st.age(t, cfg, v.id(), lifetime-slack)
		v.want("ann", b, "/whoami") // Which is an access, too.
		st.age(t, cfg, v.id(), lifetime-slack)
		v.want("ann", a, "/whoami")
		st.age(t, cfg, v.id(), lifetime-slack)
		v.want("ann", b, "/whoami")

		late := newVisitor(t)
		late.signIn(a, a, "bob")
		st.age(t, cfg, late.id(), ends(st, a, b)+slack)
		late.want("nobody", b, "/whoami")
	})
}

// Neither collector removes what the other version holds for alive, and each
// removes the rest.
func TestCollectors(t *testing.T) {
	for _, st := range storages {
		t.Run(st.name, func(t *testing.T) {
			cfg := st.config(t)
			cfg.IDLength = 16
			ours, theirs := startOurs(t, cfg), startLegacy(t, cfg)
			// The collector of v1.6.6 goes through the files by name, so that when z is
			// gone it has had a look at a.
			alive, dead := strings.Repeat("a", 16), strings.Repeat("z", 16)
			prepare := func(s *server, end time.Duration) {
				v := newVisitor(t)
				v.signIn(s, s, "ann")
				st.duplicate(t, cfg, v.id(), alive)
				st.duplicate(t, cfg, v.id(), dead)
				st.age(t, cfg, alive, lifetime-slack)
				st.age(t, cfg, dead, end+slack)
			}

			prepare(theirs, lifetime)
			require.NoError(t, ours.m.Store().GC(t.Context()))
			assert.False(t, st.exists(t, cfg, dead), "ours left a dead one of v1.6.6")
			require.True(t, st.exists(t, cfg, alive), "ours removed a living one of v1.6.6")
			require.NoError(t, ours.m.Store().Destroy(t.Context(), alive))

			prepare(ours, lifetime+lifetime/20)
			startLegacy(t, cfg) // It collects at its start.
			require.Eventually(t, func() bool { return !st.exists(t, cfg, dead) },
				20*time.Second, 20*time.Millisecond, "v1.6.6 left a dead one of ours")
			assert.True(t, st.exists(t, cfg, alive), "v1.6.6 removed a living one of ours")
		})
	}
}
