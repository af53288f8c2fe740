package explore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

// owner has two sessions at the start of a schedule that starts "owned": the client's
// own, and another one.
const owner = "o"

var otherID = strings.Repeat("c", 32)

// own makes a session at the start belong to the owner, and returns its handle.
func (a *app) own(id, key string) string {
	s, _ := a.old.Store().Read(context.Background(), id)
	s.Set(key, key)
	if err := session.SetOwner(s, owner); err != nil {
		panic(err)
	}
	if err := a.old.Store().Save(context.Background(), s); err != nil {
		panic(err)
	}
	return session.Handle(s)
}

var ownerOps = []string{"set", "signin", "switch", "leave", "endall", "endothers", "rotate", "destroy", "commit", "flush", "get"}

// doOwner does an operation of the owners' schedules.
func (a *app) doOwner(e *event, res *result, c flamego.Context, s session.Session) {
	ctx := c.Request().Context()
	switch e.op {
	case "signin":
		e.err = session.SetOwner(s, owner)
		e.handle = session.Handle(s)
	case "switch":
		e.err = session.SetOwner(s, "p")
	case "leave":
		e.err = session.SetOwner(s, "")
	case "endall":
		e.err = a.m.EndAll(ctx, owner)
	case "endothers":
		e.err = a.m.EndAll(ctx, owner, session.Handle(s))
	case "list":
		var list []session.Info
		list, e.err = a.m.Sessions(ctx, owner)
		for i, handle := range res.handles {
			if e.err == nil && !lists(list, handle) {
				e.miss = []string{"its own", "the other"}[i]
			}
		}
	}
}

// signedIn tells whether the request has signed in, and knows of no failure.
func (r *request) signedIn() bool {
	return slices.ContainsFunc(r.log, func(e event) bool { return e.op == "signin" && e.err == nil })
}

func lists(list []session.Info, handle any) bool {
	return slices.ContainsFunc(list, func(i session.Info) bool { return i.Handle == handle })
}

// owned are the live sessions of the owner.
func (res *result) owned() map[string]session.Data {
	all := res.live()
	for id, data := range all {
		if data["flamego::session::owner"] != owner {
			delete(all, id)
		}
	}
	return all
}

func (res *result) ended(ops ...string) bool {
	return slices.ContainsFunc(res.reqs, func(r *request) bool {
		return slices.ContainsFunc(r.log, func(e event) bool { return slices.Contains(ops, e.op) && e.err == nil })
	})
}

// each calls fn with what the requests did.
func (res *result) each(op string, fn func(event)) {
	for _, r := range res.reqs {
		for _, e := range r.log {
			if e.op == op {
				fn(e)
			}
		}
	}
}

// left is the program of a session that is nobody's when the owner's sessions are ended,
// although it may still be on the list.
var left = []string{"leave", "commit", "endall"}

// leftAlone tells whether that is all that happened, and the session was nobody's by then.
func (res *result) leftAlone() bool {
	log := res.reqs[0].log
	return res.start == "owned" && len(res.reqs) == 1 && slices.Equal(res.progs[0], left) &&
		len(log) == len(left) && log[1].err == nil && res.faulted[expired] == 0 && !res.torn()
}

// ownerRules are what must hold of every schedule with owners.
var ownerRules = map[string]func(*result) string{
	"G17 what was there when all were ended has ended": func(res *result) string {
		if len(res.handles) == 0 {
			return ""
		}
		for id, data := range res.owned() {
			again := res.did("signin") // After flush or switch, it is signed in anew.
			if res.ended("endall") && (data["base"] != nil && !again || data["other"] != nil) || res.ended("endothers") && data["other"] != nil {
				return fmt.Sprintf("%.4s lives", id)
			}
		}
		return ""
	},
	"G17 a sign-in that began before all were ended does not stand": func(res *result) string {
		for id, data := range res.owned() {
			signedIn := -1 // before the start
			res.each("signin", func(e event) {
				if e.err == nil && e.handle == data["flamego::session::handle"] {
					signedIn = max(signedIn, e.end)
				}
			})
			what := ""
			res.each("endall", func(e event) {
				if e.err == nil && signedIn < e.begin && (res.start != "named" || signedIn >= 0) {
					what = fmt.Sprintf("%.4s lives", id)
				}
			})
			if what != "" {
				return what
			}
		}
		return ""
	},
	"G17 what lives is listed": func(res *result) string {
		list, err := res.a.m.Sessions(context.Background(), owner)
		if err != nil {
			return err.Error()
		}
		for id, data := range res.owned() {
			if !lists(list, data["flamego::session::handle"]) {
				return fmt.Sprintf("%.4s is not", id)
			}
		}
		return ""
	},
	"G17 nobody else's session ends": func(res *result) string {
		if res.leftAlone() && !res.final.base {
			return "the owner's end has ended what was nobody's"
		}
		if res.start != "owned" || res.didAny("endall", "endothers") || res.faulted[expired] > 0 || res.a.opt.MaxPerOwner != 0 || res.otherLeft() {
			return ""
		}
		for _, data := range res.owned() {
			if data["other"] != nil {
				return ""
			}
		}
		return "the other session is gone"
	},
	// Who says again whose session it is sets nothing in one that is nobody's by now.
	"G17 what its owner sets is not nobody's": func(res *result) string {
		if res.did("leave") {
			return ""
		}
		for id, data := range res.live() {
			for _, r := range res.reqs {
				if data["flamego::session::owner"] != nil || !r.signedIn() || r.didAny("commit", "refresh", "take", "flush", "destroy") {
					continue
				}
				for i, e := range r.log {
					if key := fmt.Sprint("r", r.n, "o", i); e.op == "set" && data[key] != nil {
						return fmt.Sprintf("%s is in %.4s", key, id)
					}
				}
			}
		}
		return ""
	},
	"G17 the list is whole": func(res *result) string {
		if res.start != "owned" || res.faulted[expired] > 0 || res.a.opt.MaxPerOwner != 0 || res.didAny("switch", "leave", "endall", "endothers", "destroy", "flush") {
			return ""
		}
		for _, r := range res.reqs {
			for _, e := range r.log {
				if e.op == "list" && e.miss != "" {
					return fmt.Sprintf("request %d does not see %s session", r.n, e.miss)
				}
			}
		}
		return ""
	},
	"G17 no more than MaxPerOwner": func(res *result) string {
		if n := len(res.owned()); res.a.opt.MaxPerOwner > 0 && n > res.a.opt.MaxPerOwner && res.faulted[half] == 0 {
			return fmt.Sprintf("the owner has %d", n)
		}
		return ""
	},
	"G17 who ends the others stays": func(res *result) string {
		if res.didAny("endall", "destroy", "flush", "switch", "leave") {
			return ""
		}
		if slices.ContainsFunc(res.reqs, func(r *request) bool {
			return slices.ContainsFunc(r.log, func(e event) bool { return e.op == "endothers" && !e.base }) // From nowhere, it ends all.
		}) {
			return ""
		}
		if res.start != "owned" || res.faulted[expired] > 0 || res.startedAnew() || res.failedTwice() || res.crossed() || res.torn() || res.a.opt.MaxPerOwner != 0 || res.final.base {
			return ""
		}
		return "the client has lost its session"
	},
	// These are last, since they make sessions and end them.
	"~G17 a failed sign-in takes no place": func(res *result) string {
		if !res.a.opt.RefuseOverMax || res.faulted[expired] > 0 || res.w.unlisted || res.failedAtAnEnd() {
			return "" // What could not be taken off the list stands there for a while.
		}
		for n := len(res.owned()); n < res.a.opt.MaxPerOwner; n++ {
			r := &request{n: -1, ops: []string{"guest", "signin"}, res: res}
			if rec := res.a.serve(context.WithValue(context.Background(), requestKey{}, r), "/", ""); rec.Code != http.StatusOK {
				return fmt.Sprintf("the owner has %d, and cannot sign in", n)
			}
		}
		return ""
	},
	"~G17 all can be ended": func(res *result) string {
		if err := res.a.m.EndAll(context.Background(), owner); err != nil {
			return err.Error()
		}
		for id := range res.owned() {
			return fmt.Sprintf("%.4s lives", id)
		}
		return ""
	},
}

// failedAtAnEnd tells whether a session may have ended, and the store has failed a
// request that ended one, or that used one which may have ended meanwhile.
func (res *result) failedAtAnEnd() bool {
	ends := []string{"destroy", "flush", "switch", "leave", "endall", "endothers"}
	return (res.start == "late" || res.didAny(ends...)) && slices.ContainsFunc(res.reqs, func(r *request) bool {
		return r.faults > 0 && (r.ops[0] != "guest" || r.didAny(ends...))
	})
}

// otherLeft tells whether the client that has the other session may have left it.
func (res *result) otherLeft() bool {
	return slices.ContainsFunc(res.reqs, func(r *request) bool {
		return r.ops[0] == "other" && r.didAny("switch", "leave", "destroy", "flush")
	})
}

// TestExploreOwners goes through schedules of sign-ins, rotations, sign-outs and ends
// of one owner's sessions, without a limit and with both ways to keep one.
func TestExploreOwners(t *testing.T) {
	limit := 2 * time.Second
	if d, err := time.ParseDuration(os.Getenv("EXPLORE")); err == nil {
		limit = d
	}
	// Where many records are loaded one by one, the last first, only what looks at lists differs.
	for _, opt := range []session.Options{{}, {MaxPerOwner: 2}} {
		x := &explorer{found: make(map[string]*finding), rules: ownerRules, many: true}
		x.few(t, opt, 2, []plan{movesAndListed, movesAndSignsIn, movesAndEnded})
		x.some(t, opt, limit, randomOwners)
		x.report(t)
	}
	plans := ownerPlans()
	for _, with := range []struct {
		session.Options
		meetings []plan
	}{
		{session.Options{}, []plan{failsAndEnds, newAndEnded, movedAndEnded, movesAndEnded, beganAndEnded, beganAndSpared}},
		{session.Options{RenewEvery: 30 * time.Minute}, []plan{failsAndEnds, againAndRenewed}},
		{session.Options{MaxPerOwner: 2}, []plan{usedLate, oneTooMany}},
		{session.Options{MaxPerOwner: 2, RefuseOverMax: true}, []plan{usedLate, againLate, movesAndLeaves, movesAndSignsOut}},
	} {
		x := &explorer{found: make(map[string]*finding), rules: ownerRules}
		x.all(t, with.Options, plans)
		if with.MaxPerOwner == 0 && with.RenewEvery == 0 { // A renewal would make too many schedules of them.
			x.all(t, with.Options, ownerPairs)
		}
		x.few(t, with.Options, 2, with.meetings)
		x.some(t, with.Options, limit, func(r *rand.Rand) plan {
			if r.IntN(4) == 0 { // With more breaks.
				return with.meetings[r.IntN(len(with.meetings))]
			}
			p := randomOwners(r)
			if with.RenewEvery > 0 {
				p.faults = min(p.faults, 1)
			}
			return p
		})
		x.report(t)
	}
}

// What has to meet in just the right order, which is rare.
var (
	ownerPairs = []plan{
		{"owned", [][]string{{"list"}, {"rotate"}}, 0},
		{"owned", [][]string{{"set", "signin"}, {"flush"}}, 0},
	}
	// A sign-in that fails is tried again, in the same millisecond here: who ends the
	// owner's sessions meanwhile finds the list as it was, and only the tombstone is new.
	failsAndEnds     = plan{"session", [][]string{{"signin", "commit"}, {"endothers"}}, 1}
	newAndEnded      = plan{"visitor", [][]string{{"signin", "commit"}, {"guest", "endall"}}, 1}
	beganAndEnded    = plan{"visitor", [][]string{{"signin", "set"}, {"guest", "endall"}}, 1}
	beganAndSpared   = plan{"session", [][]string{{"signin", "endothers", "set"}, {"guest", "endall"}}, 0}
	movedAndEnded    = plan{"session", [][]string{{"signin", "commit"}, {"guest", "endall"}}, 1}
	movesAndEnded    = plan{"owned", [][]string{{"rotate"}, {"guest", "endall"}}, 0}
	againAndRenewed  = plan{"owned", [][]string{{"flush", "signin"}, {"flush"}, {"get"}}, 0}
	usedLate         = plan{"late", [][]string{{"get"}, {"guest", "signin"}}, 0}
	againLate        = plan{"late", [][]string{{"flush", "signin"}, {"guest", "signin"}}, 0}
	oneTooMany       = plan{"owned", [][]string{{"guest", "signin"}}, 0}
	movesAndListed   = plan{"owned", [][]string{{"rotate"}, {"list"}}, 0}
	movesAndSignsIn  = plan{"late", [][]string{{"rotate"}, {"guest", "signin"}}, 0}
	movesAndLeaves   = plan{"owned", [][]string{{"rotate"}, {"leave"}}, 0}
	movesAndSignsOut = plan{"owned", [][]string{{"rotate"}, {"destroy"}}, 0}
)

// ownerPlans are those of which every schedule is tried.
func ownerPlans() (plans []plan) {
	for _, start := range []string{"owned", "session", "visitor"} {
		for _, p := range sequences(ownerOps, 2) {
			plans = append(plans, plan{start, [][]string{p}, 1})
		}
	}
	return append(plans,
		plan{"owned", [][]string{left}, 1},
		plan{"owned", [][]string{{"flush", "signin", "commit"}}, 2}) // It stays where it is.
}

// randomOwners returns any plans, some with other clients.
func randomOwners(r *rand.Rand) plan {
	ops := append(slices.Clone(ownerOps), "list", "update", "edit", "refresh", "take", "lifetime", "panic")
	p := randomPlan(r, ops, []string{"owned", "owned", "late", "session", "visitor"})
	last := &p.progs[len(p.progs)-1]
	switch r.IntN(4) {
	case 0:
		*last = []string{"guest", "signin"}
	case 1:
		op := []string{"get", "list", "rotate", "destroy", "flush", "leave", "endall"}
		*last = []string{"other", op[r.IntN(len(op))]}
	}
	return p
}
