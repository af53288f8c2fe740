package explore

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/flamego/session"
)

// TestExploreOutlived goes through schedules of requests that take longer than the idle
// timeout, on a Backend that keeps what has expired until it is swept.
func TestExploreOutlived(t *testing.T) {
	ops := []string{"sleep", "set", "update", "delete", "rotate", "destroy", "commit", "edit", "take"}
	for _, how := range []moving{atOnce, inSteps} {
		x := &explorer{found: make(map[string]*finding), rules: outliveRules, moving: how}
		var plans []plan
		for _, p := range sequences(ops, 1) {
			plans = append(plans, plan{"session", [][]string{{"sleep", "set"}, p}, 0}, plan{"session", [][]string{{"sleep", "update"}, append([]string{"sleep"}, p...)}, 0})
		}
		x.few(t, session.Options{}, 2, plans)
		x.some(t, session.Options{}, time.Second, func(r *rand.Rand) plan {
			p := randomPlan(r, ops, []string{"session"})
			p.progs[0] = append([]string{"sleep"}, p.progs[0]...)
			return p
		})
		x.report(t)
	}
}

// kept are the records that there are, expired or not.
func (res *result) kept() map[string]session.Data {
	all := make(map[string]session.Data)
	for id, r := range res.w.records {
		all[id], _ = session.GobDecoder(r.Data)
	}
	return all
}

var outliveRules = map[string]func(*result) string{
	"G6 an ended session stays ended": rules["G6 an ended session stays ended"],
	"G7 rotation moves":               rules["G7 rotation moves"],
	"G5 one gets what is taken": func(res *result) string {
		got := 0
		res.each("take", func(e event) {
			if e.got {
				got++
			}
		})
		if got > 1 {
			return fmt.Sprint(got, " got it")
		}
		return ""
	},
	"G4 what a request began in time is stored": func(res *result) string {
		if res.didAny("destroy", "rotate") || res.failures() > 0 {
			return ""
		}
		base := res.kept()[strings.Repeat("b", 32)]
		updates := 0
		for _, r := range res.reqs {
			for i, e := range r.log {
				if !e.base || !r.ok() {
					continue
				}
				switch key := fmt.Sprint("r", r.n, "o", i); {
				case e.op == "set" && base[key] == nil:
					return "the acknowledged " + key + " is not there"
				case e.op == "delete" && base["d"] != nil:
					return fmt.Sprint("what request ", r.n, " has deleted is there")
				case e.op == "update":
					updates++
				}
			}
		}
		if n, _ := base["n"].(int); n < updates {
			return fmt.Sprintf("of %d acknowledged updates %d are there", updates, n)
		}
		return ""
	},
}
