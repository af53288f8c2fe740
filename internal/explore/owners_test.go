package explore

import (
	"context"
	"fmt"
	"math/rand/v2"
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

// own makes a session at the start belong to the owner.
func (a *app) own(id, key string) {
	s, _ := a.m.Store().Read(context.Background(), id)
	s.Set(key, key)
	if err := session.SetOwner(s, owner); err != nil {
		panic(err)
	}
	if err := a.m.Store().Save(context.Background(), s); err != nil {
		panic(err)
	}
}

var ownerOps = []string{"set", "signin", "switch", "endall", "endothers", "rotate", "destroy", "commit", "flush", "get"}

// doOwner does an operation of the owners' schedules.
func (a *app) doOwner(op string, c flamego.Context, s session.Session) error {
	ctx := c.Request().Context()
	switch op {
	case "signin":
		return session.SetOwner(s, owner)
	case "switch":
		return session.SetOwner(s, "p")
	case "endall":
		return a.m.EndAll(ctx, owner)
	case "endothers":
		return a.m.EndAll(ctx, owner, session.Handle(s))
	}
	return nil
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

// ownerRules are what must hold of every schedule with owners.
var ownerRules = map[string]func(*result) string{
	"G17 what was there when all were ended has ended": func(res *result) string {
		if res.start != "owned" {
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
	"G17 what lives is listed": func(res *result) string {
		list, err := res.a.m.Sessions(context.Background(), owner)
		if err != nil {
			return err.Error()
		}
		for id, data := range res.owned() {
			if !slices.ContainsFunc(list, func(i session.Info) bool { return i.Handle == data["flamego::session::handle"] }) {
				return fmt.Sprintf("%.4s is not", id)
			}
		}
		return ""
	},
	"G17 nobody else's session ends": func(res *result) string {
		if res.start != "owned" || res.did("endall") || res.did("endothers") || res.faulted[expired] > 0 || res.a.opt.MaxPerOwner != 0 {
			return ""
		}
		if _, ok := res.owned()[otherID]; !ok {
			return "the other session is gone"
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
		for _, op := range []string{"endall", "destroy", "flush", "switch"} {
			if res.did(op) {
				return ""
			}
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
	// Last, since it ends them.
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

// TestExploreOwners goes through schedules of sign-ins, rotations, sign-outs and ends
// of one owner's sessions, without a limit and with both ways to keep one.
func TestExploreOwners(t *testing.T) {
	limit := 2 * time.Second
	if d, err := time.ParseDuration(os.Getenv("EXPLORE")); err == nil {
		limit = d
	}
	var plans []plan
	for _, start := range []string{"owned", "session", "visitor"} {
		for _, p := range sequences(ownerOps, 2) {
			plans = append(plans, plan{start, [][]string{p}, 1})
		}
	}
	mixed := append(slices.Clone(ownerOps), "update", "edit", "refresh", "take", "lifetime", "panic")
	for _, opt := range []session.Options{{}, {RenewEvery: 30 * time.Minute}, {MaxPerOwner: 2}, {MaxPerOwner: 2, RefuseOverMax: true}} {
		x := &explorer{found: make(map[string]*finding), rules: ownerRules}
		x.all(t, opt, plans)
		if opt.MaxPerOwner == 0 { // A sign-in that fails, is ended meanwhile, and is tried again.
			x.some(t, opt, limit, func(*rand.Rand) plan {
				return plan{"session", [][]string{{"signin", "commit"}, {"endothers"}}, 1}
			})
		}
		x.some(t, opt, limit, func(r *rand.Rand) plan {
			p := randomPlan(r, mixed, []string{"owned", "owned", "session", "visitor"})
			if opt.RenewEvery > 0 {
				p.faults = min(p.faults, 1)
			}
			return p
		})
		x.report(t)
	}
}
