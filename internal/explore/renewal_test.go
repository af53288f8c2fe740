package explore

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/flamego/session"
)

// TestExploreRenewals goes through schedules in which every request finds the session's
// ID too old at first.
func TestExploreRenewals(t *testing.T) {
	limit := 4 * time.Second
	if d, err := time.ParseDuration(os.Getenv("EXPLORE")); err == nil {
		limit = d
	}
	opt := session.Options{RenewEvery: 30 * time.Minute}
	x := &explorer{found: make(map[string]*finding), rules: rules}
	var plans []plan
	for _, start := range []string{"session", "flash"} {
		for _, p := range sequences(ops, 1) {
			plans = append(plans, plan{start, [][]string{p}, 2})
		}
		plans = append(plans, plan{start, [][]string{{"get"}, {"set"}}, 0}, plan{start, [][]string{{"update"}, {"update"}}, 0})
	}
	x.all(t, opt, plans)
	x.some(t, opt, limit, func(r *rand.Rand) plan {
		p := randomPlan(r, ops, []string{"session", "flash"})
		p.faults = min(p.faults, 1) // After two in a row nobody knows where the session is.
		return p
	})
	x.report(t)
}
