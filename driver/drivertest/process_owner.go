package drivertest

import (
	"encoding/json"
	"slices"

	"github.com/flamego/session"
)

// processOwners has sign-ins, rotations and writes go on in two processes while all of
// an owner's sessions are ended.
func processOwners(r rule, f *fleet) {
	const before, during = 6, 6
	servers := f.pool()
	stood, cut := 0, 0
	for range rounds(f.t, 30) {
		owner := f.name()
		visitors := make([]*visitor, before+during)
		for i := range visitors {
			visitors[i] = newVisitor(f.t)
		}
		for i, v := range visitors[:before] {
			v.signsIn(r, servers[i%2], owner)
		}
		together(len(visitors)+1, func(i int) {
			if i == len(visitors) {
				newVisitor(f.t).ok(r, servers[1], "/endall", "owner", owner)
				return
			}
			pages := [][]string{{"/add", "k", "n"}, {"/rotate"}}
			if i >= before {
				visitors[i].ok(r, servers[i%2], "/own", "owner", owner)
			}
			for n := range 4 {
				page := pages[(i/2+n)%len(pages)]
				visitors[i].ok(r, servers[(i+n)%2], page[0], page[1:]...)
			}
		})
		var list []session.Info
		res := newVisitor(f.t).ok(r, servers[0], "/sessions", "owner", owner)
		if err := json.Unmarshal([]byte(res.body), &list); err != nil {
			f.t.Fatalf("the list: %v: %q", err, res.body)
		}
		live := 0
		for i, v := range visitors {
			is := v.ok(r, servers[i%2], "/read", "k", "user").body == owner
			switch {
			case is && i < before:
				r.broken(f.t, "a session lives that was signed in before all were ended")
			case is:
				live++
				handle := v.ok(r, servers[1-i%2], "/handle").body
				if !slices.ContainsFunc(list, func(i session.Info) bool { return i.Handle == handle }) {
					r.broken(f.t, "a session lives, and is not listed")
				}
			case i >= before:
				cut++
			}
		}
		if live != len(list) {
			r.broken(f.t, "%d sessions live, and %d are listed", live, len(list))
		}
		stood += live
		newVisitor(f.t).ok(r, servers[0], "/endall", "owner", owner)
	}
	f.t.Logf("of the sign-ins that met the end of all, %d were before it, and %d after", cut, stood)
}

// processSignIns has visitors who have a session sign in while all are ended, and while their
// other tabs change the session, so that moving it has to be tried again.
func processSignIns(r rule, f *fleet) {
	const each, more = 2, 4
	servers := f.pool()
	stood, n := 0, rounds(f.t, 60)
	for range n {
		owner := f.name()
		visitors, tabs := make([]*visitor, each), make([]*visitor, each*more)
		for i := range visitors {
			visitors[i] = newVisitor(f.t)
			visitors[i].ok(r, servers[i%2], "/set", "k", "cart", "v", "1")
		}
		for i := range tabs {
			tabs[i] = visitors[i%each].twin(servers[0])
		}
		together(each+len(tabs)+1, func(i int) {
			switch {
			case i < each:
				visitors[i].ok(r, servers[i%2], "/own", "owner", owner)
			case i < each+len(tabs):
				for range 4 {
					tabs[i-each].ok(r, servers[i%2], "/add", "k", "n")
				}
			default:
				for range 4 {
					newVisitor(f.t).ok(r, servers[1], "/endall", "owner", owner)
				}
			}
		})
		var list []session.Info
		res := newVisitor(f.t).ok(r, servers[0], "/sessions", "owner", owner)
		if err := json.Unmarshal([]byte(res.body), &list); err != nil {
			f.t.Fatalf("the list: %v: %q", err, res.body)
		}
		stood += len(list)
		newVisitor(f.t).ok(r, servers[0], "/endall", "owner", owner)
		for i, v := range append(visitors, tabs...) {
			if v.ok(r, servers[i%2], "/read", "k", "user").body == owner {
				r.broken(f.t, "a session lives that was signed in before all were ended, and is on no list")
			}
		}
	}
	f.t.Logf("of %d sign-ins that met the end of all, %d stood", n*each, stood)
}
