package explore

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/flamego/session"
)

// TestExploreSteps goes through schedules on a Backend that moves records in two steps, each
// of which others can come between, and on one that moves them at once and says so.
func TestExploreSteps(t *testing.T) {
	limit := time.Second
	if d, err := time.ParseDuration(os.Getenv("EXPLORE")); err == nil {
		limit = d
	}
	for _, how := range []moving{inSteps, atOnce} {
		x := &explorer{found: make(map[string]*finding), rules: rules, moving: how}
		var plans []plan
		for _, p := range [][]string{{"rotate"}, {"destroy"}, {"set"}, {"rotate", "commit", "rotate"}} {
			plans = append(plans, plan{"session", [][]string{{"rotate"}, p}, 1})
		}
		x.few(t, session.Options{}, 2, plans)
		x.some(t, session.Options{}, limit, func(r *rand.Rand) plan {
			p := randomPlan(r, append(ops, "rotate", "rotate", "destroy", "destroy"), []string{"session", "session", "flash", "visitor"})
			if r.IntN(2) == 0 { // A move that goes wrong, beside whatever else.
				p.progs[0][len(p.progs[0])-1] = "rotate"
				p.faults = 1 + r.IntN(2)
			}
			return p
		})
		x.some(t, session.Options{RenewEvery: 30 * time.Minute}, limit, func(r *rand.Rand) plan {
			p := randomPlan(r, ops, []string{"session", "flash"})
			p.faults = min(p.faults, 1)
			return p
		})
		x.report(t)

		// As on a Redis Cluster, many records are loaded as of many moments.
		x = &explorer{found: make(map[string]*finding), rules: ownerRules, moving: how, many: how == inSteps}
		for _, opt := range []session.Options{{}, {RenewEvery: 30 * time.Minute}, {MaxPerOwner: 2}, {MaxPerOwner: 2, RefuseOverMax: true}} {
			x.few(t, opt, 2, []plan{endsItself})
			x.some(t, opt, limit, func(r *rand.Rand) plan {
				p := randomOwners(r)
				if r.IntN(4) == 0 {
					p = changedAndEnded
				}
				if opt.RenewEvery > 0 {
					p.faults = min(p.faults, 1)
				}
				return p
			})
		}
		x.report(t)
	}
}

// A session ends in its own request, which then gives it a new ID.
var endsItself = plan{"owned", [][]string{{"endall"}}, 1}

// A sign-in moves the session while all are ended, and another request changes it.
var changedAndEnded = plan{"session", [][]string{{"signin"}, {"set"}, {"guest", "endall"}}, 0}

// TestExploreBlindUndo checks that a Backend which undoes the first step of a move without
// looking does not go unnoticed.
func TestExploreBlindUndo(t *testing.T) {
	x := &explorer{found: make(map[string]*finding), rules: ownerRules, moving: blindly, first: true}
	x.some(t, session.Options{}, time.Minute, randomOwners)
	for rule, f := range x.found {
		t.Logf("%s: broken in %d of %d schedules, for instance %s", rule, f.count, x.schedules, f.text)
	}
	if len(x.found) == 0 {
		t.Errorf("nothing was noticed in %d schedules", x.schedules)
	}
}
