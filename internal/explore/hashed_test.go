package explore

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/flamego/session"
)

// TestExploreHashed goes through schedules of sessions from before Options.HashIDs, which move to
// the hashes of their IDs when they change. The Backend moves records in one step: for others,
// docs/guarantees.md has a limit.
func TestExploreHashed(t *testing.T) {
	limit := time.Second
	if d, err := time.ParseDuration(os.Getenv("EXPLORE")); err == nil {
		limit = d
	}
	for _, every := range []time.Duration{0, 30 * time.Minute} {
		opt := session.Options{HashIDs: true, RenewEvery: every}
		x := &explorer{found: make(map[string]*finding), rules: rules, moving: atOnce}
		x.some(t, opt, limit, func(r *rand.Rand) plan {
			p := randomPlan(r, append(ops, "destroy", "rotate"), []string{"session", "session", "flash"})
			p.faults = min(p.faults, 1)
			return p
		})
		x.report(t)
		x = &explorer{found: make(map[string]*finding), rules: ownerRules, moving: atOnce, many: every == 0}
		x.some(t, opt, limit, func(r *rand.Rand) plan {
			p := randomOwners(r)
			p.faults = min(p.faults, 1)
			return p
		})
		x.report(t)
	}
}
