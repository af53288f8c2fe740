package explore

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/sessionid"
)

// explorer counts schedules, and keeps the shortest one that breaks each rule.
type explorer struct {
	moving    moving
	many      bool // records are loaded one by one, the last first: see backwards
	first     bool // stop when something is found
	schedules int
	rules     map[string]func(*result) string
	found     map[string]*finding
}

type finding struct {
	count int
	text  string
	size  int
}

// judge runs one schedule and holds it against the rules.
func (x *explorer) judge(a *app, p plan, c *chooser, seed uint64) {
	res := a.run(p, c)
	a.look(res)
	x.schedules++
	for _, rule := range slices.Sorted(maps.Keys(x.rules)) {
		check := x.rules[rule]
		if what := check(res); what != "" {
			for o, n := range res.faulted {
				if n > 0 {
					rule += "," + outcome(o).String()
				}
			}
			f := x.found[rule]
			if f == nil {
				f = &finding{size: 1 << 30}
				x.found[rule] = f
			}
			f.count++
			if len(res.steps) < f.size {
				f.size, f.text = len(res.steps), fmt.Sprintf("%s\n  %s\n  cookie %.4s, records %v, seen %+v\n  %s", res.plan, what, res.jar, res.ids(), res.final, strings.Join(res.steps, "\n  "))
				for _, r := range res.reqs {
					f.text += fmt.Sprintf("\n  request %d: %d %v", r.n, r.status, r.log)
				}
				if seed != 0 {
					f.text += fmt.Sprintf("\n  EXPLORE_SEED=%d", seed)
				}
			}
		}
	}
}

func (x *explorer) report(t *testing.T) {
	for rule, f := range x.found {
		t.Errorf("%s: broken in %d schedules, for instance %s", rule, f.count, f.text)
	}
}

func (res *result) ids() (ids []string) {
	for id := range res.w.records {
		ids = append(ids, id[:4])
	}
	return ids
}

// did tells whether any request got as far as the operation.
func (res *result) did(op string) bool {
	return slices.ContainsFunc(res.reqs, func(r *request) bool { return r.did(op) })
}

func (r *request) did(op string) bool {
	return slices.ContainsFunc(r.log, func(e event) bool { return e.op == op })
}

func (r *request) didAny(ops ...string) bool { return slices.ContainsFunc(ops, r.did) }

// didAny tells whether any request got as far as one of the operations.
func (res *result) didAny(ops ...string) bool { return slices.ContainsFunc(ops, res.did) }

// failures is how many calls of the store went wrong.
func (res *result) failures() (n int) {
	for _, faults := range res.faulted {
		n += faults
	}
	return n
}

func (r *request) ok() bool { return r.status == http.StatusOK }

// live are the records that have not expired, with their data.
func (res *result) live() map[string]session.Data {
	all := make(map[string]session.Data)
	for id, r := range res.w.records {
		if r.Expiry.After(res.w.now) {
			all[id], _ = session.GobDecoder(r.Data)
		}
	}
	return all
}

// isUnder tells whether a record is that of an ID, hashed or not.
func isUnder(key, id string) bool { return id != "" && (key == id || key == sessionid.KeyOf(id)) }

// startedAnew tells whether RegenerateID was called on a request whose ID was dead: it
// begins a session of its own, so that a sign-in succeeds, and the last answer counts.
func (res *result) startedAnew() bool {
	return slices.ContainsFunc(res.reqs, func(r *request) bool {
		return !r.elsewhere() && slices.ContainsFunc(r.log, func(e event) bool { return !e.base && slices.Contains([]string{"rotate", "signin", "switch"}, e.op) })
	})
}

// torn tells whether a renewal may have stopped halfway: until the copy that it left is
// removed, requests with the old ID may find that.
func (res *result) torn() bool {
	return res.a.opt.RenewEvery > 0 && res.faulted[half] > 0
}

// crossed tells whether a rotation may have followed a renewal whose answer was still on
// its way: the answer that arrives last counts.
func (res *result) crossed() bool {
	return res.a.opt.RenewEvery > 0 && len(res.reqs) > 1 && res.did("rotate")
}

// failedTwice tells whether the store has failed again when it was asked what had
// become of a call that failed: then nobody knows.
func (res *result) failedTwice() bool {
	return res.failures() > 1 && res.faulted[lost]+res.faulted[half] > 0
}

// shown counts how often each flash was shown.
func (res *result) shown() map[any]int {
	seen := map[any]int{}
	for _, r := range res.reqs {
		for _, f := range r.flashes {
			seen[f]++
		}
	}
	for _, f := range res.final.flashes {
		seen[f]++
	}
	return seen
}

// rules say what must hold of every schedule, in the words of docs/guarantees.md.
var rules = map[string]func(*result) string{
	// Who was signed in and has not signed out is signed in.
	"G7 the session is not lost": func(res *result) string {
		if res.start == "visitor" || res.did("destroy") || res.did("flush") || res.faulted[expired] > 0 || res.final.base {
			return ""
		}
		if res.startedAnew() || res.failedTwice() || res.crossed() || res.torn() {
			return ""
		}
		return "the client has lost its session"
	},
	// What was acknowledged is there, unless something says that it may not be.
	"G4 no lost update": func(res *result) string {
		if res.start == "visitor" || res.did("destroy") || res.did("flush") || res.did("rotate") || res.faulted[expired] > 0 || res.torn() || res.a.opt.RenewEvery > 0 && res.failedTwice() {
			return ""
		}
		updates := 0
		for _, r := range res.reqs {
			for i, e := range r.log {
				edited := e.op == "edit" && e.err == nil
				if key := fmt.Sprint("r", r.n, "o", i); (edited || e.op == "set" && r.ok()) && !slices.Contains(res.final.keys, key) {
					return "the acknowledged " + key + " is not there"
				}
				if edited || e.op == "update" && r.ok() {
					updates++
				}
			}
		}
		if res.final.n < updates {
			return fmt.Sprintf("of %d acknowledged updates %d are there", updates, res.final.n)
		}
		return ""
	},
	// Nothing is there that was answered 500, or whose handler panicked.
	"G3 G11 a failure changes nothing": func(res *result) string {
		if res.faulted[lost]+res.faulted[half] > 0 || res.didAny("commit", "take") {
			return ""
		}
		for _, r := range res.reqs {
			for i, e := range r.log {
				if key := fmt.Sprint("r", r.n, "o", i); !r.ok() && e.op != "edit" && slices.Contains(res.final.keys, key) {
					return key + " of a failed request is there"
				}
			}
		}
		return ""
	},
	// An acknowledged Destroy of the session ends it, under whatever ID.
	"G6 an ended session stays ended": func(res *result) string {
		for _, r := range res.reqs {
			i := slices.IndexFunc(r.log, func(e event) bool { return e.op == "destroy" })
			if i < 0 || !r.ok() || !r.log[i].base {
				continue
			}
			for _, data := range res.live() {
				if data["base"] != nil {
					return fmt.Sprintf("request %d has ended it", r.n)
				}
			}
		}
		return ""
	},
	"G5 a flash at most once": func(res *result) string {
		for f, n := range res.shown() {
			if n > 1 {
				return fmt.Sprint(f, " was shown ", n, " times")
			}
		}
		return ""
	},
	"G5 an added flash is shown": func(res *result) string {
		if res.start == "visitor" || res.failures() > 0 || res.didAny("flash", "flush", "destroy", "rotate") {
			return ""
		}
		shown := res.shown()
		for _, r := range res.reqs {
			for i, e := range r.log {
				if key := fmt.Sprint("r", r.n, "o", i); r.ok() && e.op == "addflash" && shown[key] == 0 {
					return "the acknowledged " + key + " was not shown"
				}
			}
		}
		return ""
	},
	// Whatever fails, no two requests get what Take returns; and if nothing does, one.
	"G5 one gets what is taken": func(res *result) string {
		if res.torn() {
			return ""
		}
		got, asked := 0, 0
		for _, r := range res.reqs {
			for _, e := range r.log {
				if e.op == "take" && e.base {
					asked++
				}
				if e.got {
					got++
				}
			}
		}
		switch {
		case got > 1:
			return fmt.Sprint(got, " got it")
		case got == 1 && res.final.d:
			return "it was taken, and is still there"
		case got == 0 && asked > 0 && res.failures() == 0 && !res.didAny("delete", "flush", "destroy", "rotate"):
			return "nobody got it"
		}
		return ""
	},
	"Refresh sees what is stored": func(res *result) string {
		if res.torn() {
			return ""
		}
		for _, r := range res.reqs {
			for _, e := range r.log {
				if e.miss != "" && (e.miss[0] != 'r' || res.faulted[expired] == 0 && !res.didAny("flush", "destroy", "rotate")) {
					return fmt.Sprintf("request %d did not see %s", r.n, e.miss)
				}
			}
		}
		return ""
	},
	// Nobody is told that the session has ended, or is unknown, because the store failed.
	"an outage is no end": func(res *result) string {
		if res.torn() || res.start == "visitor" || res.faulted[expired] > 0 || res.didAny("destroy", "rotate") {
			return ""
		}
		for _, r := range res.reqs {
			for _, e := range r.log {
				if errors.Is(e.err, session.ErrEnded) || errors.Is(e.err, session.ErrNotFound) {
					return fmt.Sprintf("request %d: %s: %v", r.n, e.op, e.err)
				}
			}
		}
		return ""
	},
	// The old ID is dead after an acknowledged rotation.
	"G7 rotation moves": func(res *result) string {
		for _, r := range res.reqs {
			i := slices.IndexFunc(r.log, func(e event) bool { return e.op == "rotate" })
			if i < 0 || !r.ok() || r.sent == "" || r.log[i].err != nil {
				continue
			}
			over := slices.ContainsFunc(r.log[i:], func(e event) bool { return !e.base || errors.Is(e.err, session.ErrEnded) })
			if over && (res.faulted[expired] > 0 || res.did("sleep")) {
				continue // It had expired for that request: what others go on with is another session.
			}
			for id, data := range res.live() {
				if isUnder(id, r.sent) && data["flamego::session::ended"] == nil {
					return fmt.Sprintf("request %d has moved it, and the old ID is alive", r.n)
				}
			}
		}
		return ""
	},
	// Every live record is one that the client can come back to.
	"no record that nobody's cookie names": func(res *result) string {
		if res.start == "visitor" && len(res.reqs) > 1 || res.faulted[expired] > 0 || res.startedAnew() || res.failedTwice() || res.crossed() || res.torn() {
			return "" // Each may have got one, and the last answer counts.
		}
		if res.did("destroy") {
			return "" // Who comes with the old ID meanwhile is a visitor.
		}
		for id, data := range res.live() {
			if !isUnder(id, res.jar) && data["flamego::session::forward"] == nil {
				return fmt.Sprintf("%.4s", id)
			}
		}
		return ""
	},
}
