package explore

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/flamego/session"
)

// named is a session from before owners, of an application that knows whose it is.
func named(now time.Time) session.Record {
	data, err := session.GobEncoder(session.Data{"base": "base", "d": 1, "who": owner})
	if err != nil {
		panic(err)
	}
	return session.Record{Data: data, Expiry: now.Add(time.Hour)}
}

func ownerOf(s session.Session) string {
	name, _ := session.Get[string](s, "who")
	return name
}

var adoptedRules = map[string]func(*result) string{
	"G17 what was on the list when all were ended has ended": func(res *result) string {
		listed := 1 << 30 // when a request has seen that it is
		for _, r := range res.reqs {
			for _, e := range r.log {
				if e.mine && e.base {
					listed = min(listed, e.begin)
				}
			}
		}
		for id, data := range res.owned() {
			what := ""
			res.each("endall", func(e event) {
				if e.err == nil && listed < e.begin && data["base"] != nil {
					what = fmt.Sprintf("%.4s lives", id)
				}
			})
			if what != "" {
				return what
			}
		}
		return ""
	},
	"G17 the ID stays": func(res *result) string {
		if res.failures() > 0 || res.a.opt.RenewEvery > 0 || res.didAny("rotate", "endall", "endothers", "destroy", "flush") {
			return ""
		}
		if _, ok := res.live()[res.jar]; !ok || res.jar[0] != 'b' {
			return "the session is not under its ID"
		}
		if res.owned()[res.jar] == nil {
			return "the session is not on the list"
		}
		return ""
	},
}

// TestExploreAdopted goes through schedules of requests of a session from before owners, which
// are put on the list, used and ended at the same time.
func TestExploreAdopted(t *testing.T) {
	rules := make(map[string]func(*result) string)
	for _, all := range []map[string]func(*result) string{ownerRules, adoptedRules} {
		for name, rule := range all {
			rules[name] = rule
		}
	}
	ops := []string{"get", "set", "endall", "endothers", "rotate", "destroy", "commit", "flush", "list", "signin"}
	pairs := []plan{
		{"named", [][]string{{"get"}, {"get"}}, 0},
		{"named", [][]string{{"get"}, {"guest", "endall"}}, 0},
		{"named", [][]string{{"set"}, {"guest", "signin"}}, 0},
		{"named", [][]string{{"rotate"}, {"get"}}, 0},
		{"named", [][]string{{"destroy"}, {"get"}}, 0},
		{"named", [][]string{{"flush"}, {"get"}}, 0},
		{"named", [][]string{{"set"}, {"get"}, {"guest", "endall"}}, 0},
	}
	var alone []plan
	for _, op := range ops {
		alone = append(alone, plan{"named", [][]string{{op}}, 1})
	}
	for _, opt := range []session.Options{{OwnerOf: ownerOf}, {OwnerOf: ownerOf, MaxPerOwner: 2}, {OwnerOf: ownerOf, RenewEvery: 30 * time.Minute}} {
		x := &explorer{found: make(map[string]*finding), rules: rules}
		x.all(t, opt, alone)
		x.few(t, opt, 2, pairs)
		x.some(t, opt, time.Second, func(r *rand.Rand) plan { return randomPlan(r, slices.Clone(ops), []string{"named"}) })
		x.report(t)
	}
}
