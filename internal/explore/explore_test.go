// Package explore drives the library through schedules that nobody wrote: every
// order in which the store calls of concurrent requests can take effect, every
// outcome that such a call can have, and every order in which responses reach a
// client that follows Set-Cookie.
package explore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

// request is one request of a schedule.
type request struct {
	n    int
	ops  []string
	half bool // its Move stops in the middle

	faults int // how many of its calls went wrong

	// What the scheduler and the model see of it.
	sent     string // the cookie that it came with
	status   int
	cookies  []*http.Cookie
	finished bool
	log      []event
	flashes  []any
	res      *result
}

// event is what an operation did, as its request saw it.
type event struct {
	op   string
	base bool // the session that was there at the start was the one at hand
	err  error
	got  bool   // Take returned the value
	miss string // what Refresh or Sessions should have seen

	begin, end int    // how many calls had taken effect
	handle     string // of the session, after a sign-in
	mine       bool   // the session was the owner's
}

// app is the application under test, the same for all schedules of a bubble.
type app struct {
	*flamego.Flame
	w   *world
	m   *session.Manager
	old *session.Manager // that made what is there at the start: before Options.HashIDs
	opt session.Options
}

const cookieName = "s"

func newApp(t *testing.T, opt session.Options, how moving, many bool) *app {
	a := &app{Flame: flamego.NewWithLogger(io.Discard), w: &world{moving: how, records: make(map[string]session.Record)}, opt: opt}
	opt.Initer = func(context.Context, ...interface{}) (session.Store, error) {
		if many {
			return session.NewStore(backwards{a.w}, session.StoreConfig{}), nil
		}
		return session.NewStore(a.w, session.StoreConfig{}), nil
	}
	opt.Cookie = session.CookieOptions{Name: cookieName}
	opt.ErrorFunc = func(err error) {
		a.w.mu.Lock()
		defer a.w.mu.Unlock()
		a.w.unlisted = a.w.unlisted || strings.HasPrefix(err.Error(), "session: owner: ")
	}
	opt.GCInterval = 1000 * time.Hour
	hook.SetClock(&opt, func() time.Time {
		a.w.mu.Lock()
		defer a.w.mu.Unlock()
		return a.w.now
	})
	var err error
	if a.m, err = session.NewManager(opt); err == nil {
		opt.HashIDs = false
		a.old, err = session.NewManager(opt)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.Use(flamego.Recovery(), a.m.Sessioner())
	a.Get("/", func(c flamego.Context, s session.Session) string {
		req := c.Request().Context().Value(requestKey{}).(*request)
		req.flashes = session.Flashes(s)
		for i, op := range req.ops {
			req.do(a, i, op, c, s)
		}
		return "done"
	})
	a.Get("/look", func(c flamego.Context, s session.Session) {
		look := c.Request().Context().Value(lookKey{}).(*view)
		look.base, look.d, look.n, look.flashes = s.Get("base") == "base", s.Get("d") != nil, 0, session.Flashes(s)
		look.n, _ = session.Get[int](s, "n")
		for r := range 4 {
			for i := range 4 {
				if key := fmt.Sprint("r", r, "o", i); s.Get(key) != nil {
					look.keys = append(look.keys, key)
				}
			}
		}
	})
	return a
}

type lookKey struct{}

// view is what the client sees in the end.
type view struct {
	base, d bool
	n       int
	keys    []string
	flashes []any
}

func add(n int) int { return n + 1 }

func (r *request) do(a *app, i int, op string, c flamego.Context, s session.Session) {
	ctx, m := c.Request().Context(), a.m
	e := event{op: op, base: s.Get("base") == "base", begin: a.w.tick(), mine: session.Owner(s) == owner}
	key := fmt.Sprint("r", r.n, "o", i)
	switch op {
	case "get":
	case "set":
		s.Set(key, 1)
	case "update":
		session.Update(s, "n", add)
	case "edit":
		e.err = m.Edit(ctx, r.sent, func(s session.Session) error {
			session.Update(s, "n", add)
			s.Set(key, 1)
			return nil
		})
	case "take":
		_, e.got, e.err = session.Take[int](ctx, s, "d")
	case "refresh":
		keys, ended := r.res.acknowledged()
		e.err = session.Refresh(ctx, s)
		if e.err != nil || !e.base {
			break
		}
		if ended {
			e.miss = "that it has ended"
		}
		for _, key := range keys {
			if s.Get(key) == nil {
				e.miss = key
			}
		}
	case "delete":
		s.Delete("d")
	case "flush":
		s.Flush()
	case "flash":
		s.SetFlash(key)
	case "addflash":
		session.AddFlash(s, key)
	case "rotate":
		e.err = s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	case "destroy":
		session.Destroy(s)
	case "commit":
		e.err = session.Commit(ctx, s)
	case "lifetime":
		e.err = session.SetLifetime(s, 10*time.Hour)
	case "sleep": // longer than the idle timeout
		a.w.pass(2 * time.Hour)
	case "panic":
		r.log = append(r.log, e)
		panic("as planned")
	default:
		a.doOwner(&e, r.res, c, s)
	}
	e.end = a.w.tick()
	r.log = append(r.log, e)
}

// chooser makes the choices of a schedule: by going through all of them, or by
// chance.
type chooser struct {
	taken, limits []int
	at            int
	random        *rand.Rand
	patience      int // in how many of eight turns the request that has just had one goes on
	breaks        int // how often a request that could go on may have to wait for another, or 0 for no limit
	broken        int
}

// turn chooses the call that takes effect next. By chance, a request often goes on for a
// while: most defects need few changes of turns, each at the right moment.
func (c *chooser) turn(calls []*call, last *request) int {
	same := slices.IndexFunc(calls, func(c *call) bool { return c.req == last })
	if same >= 0 && (c.random != nil && c.random.IntN(8) < c.patience || c.breaks > 0 && c.broken == c.breaks) {
		return same
	}
	i := c.pick(len(calls))
	if same >= 0 && calls[i].req != last {
		c.broken++
	}
	return i
}

func (c *chooser) pick(n int) int {
	if n <= 1 {
		return 0
	}
	if c.random != nil {
		return c.random.IntN(n)
	}
	if c.at == len(c.taken) {
		c.taken, c.limits = append(c.taken, 0), append(c.limits, n)
	}
	c.at++
	return c.taken[c.at-1]
}

// next moves on to the next schedule, and tells whether there is one.
func (c *chooser) next() bool {
	for i := len(c.taken) - 1; i >= 0; i-- {
		if c.taken[i]++; c.taken[i] < c.limits[i] {
			c.taken, c.limits, c.at, c.broken = c.taken[:i+1], c.limits[:i+1], 0, 0
			return true
		}
	}
	return false
}

// plan is a set of programs to be run in all their schedules.
type plan struct {
	start  string // "visitor", "session", "flash", "owned", "late", or "named": see adopted_test.go
	progs  [][]string
	faults int // how many calls may go wrong
}

func (p plan) String() string {
	var s []string
	for _, ops := range p.progs {
		s = append(s, strings.Join(ops, " "))
	}
	return p.start + ": " + strings.Join(s, " | ")
}

// result is one schedule and what came of it.
type result struct {
	plan
	reqs    []*request
	steps   []string
	faulted [outcomes]int
	jar     string
	final   view
	handles []string // of the owner's sessions at the start
	w       *world
	a       *app
}

// run runs one schedule of a plan.
func (a *app) run(p plan, choose *chooser) *result {
	w := a.w
	w.records, w.now, w.pending, w.free = make(map[string]session.Record), time.Unix(1e9, 0), nil, false
	w.unlisted = false
	res := &result{plan: p, w: w, a: a}
	switch p.start {
	case "visitor":
	case "owned", "late":
		res.jar = strings.Repeat("b", 32)
		res.handles = []string{a.own(res.jar, "base"), a.own(otherID, "other")}
	case "named":
		res.jar = strings.Repeat("b", 32)
		w.records[res.jar] = named(w.now)
	default:
		res.jar = strings.Repeat("b", 32)
		s, _ := a.old.Store().Read(context.Background(), res.jar)
		s.Set("base", "base")
		s.Set("d", 1)
		if p.start == "flash" {
			s.SetFlash("base")
		}
		_ = a.old.Store().Save(context.Background(), s)
	}
	w.now = w.now.Add(a.opt.RenewEvery)
	for i, ops := range p.progs {
		res.reqs = append(res.reqs, &request{n: i, ops: ops, res: res})
	}
	var waiting []*call // to be sent, or to reach the client
	for _, r := range res.reqs {
		waiting = append(waiting, &call{name: "send", req: r})
	}
	if p.start == "late" {
		w.now = w.records[res.jar].Expiry.Add(-time.Millisecond)
		waiting = append(waiting, &call{name: "time passes", req: &request{n: -1}})
	}
	var last *request
	for {
		synctest.Wait()
		w.mu.Lock()
		for _, r := range res.reqs {
			if r.finished {
				r.finished = false
				if len(r.cookies) > 0 && !r.elsewhere() {
					waiting = append(waiting, &call{name: "answer", req: r})
				}
			}
		}
		slices.SortFunc(w.pending, func(a, b *call) int { return a.req.n - b.req.n }) // One each, at most.
		calls, running := slices.Concat(waiting, w.pending), res.running()
		w.mu.Unlock()
		if len(calls) == 0 {
			if !running {
				break
			}
			time.Sleep(25 * time.Millisecond) // A pause before another try.
			continue
		}
		i := choose.turn(calls, last)
		c := calls[i]
		last = c.req
		if i < len(waiting) {
			waiting = slices.Delete(waiting, i, i+1)
			res.note(c, done)
			switch c.name {
			case "send":
				a.send(res, c.req)
			case "answer":
				res.receive(c.req)
			default:
				w.pass(2 * time.Millisecond)
			}
			continue
		}
		i -= len(waiting)
		w.mu.Lock()
		w.pending = slices.Delete(w.pending, i, i+1)
		w.mu.Unlock()
		res.note(c, res.decide(c, choose))
	}
	return res
}

// acknowledged are the keys that finished requests have set in the session that was
// there at the start, and whether one has ended it.
func (res *result) acknowledged() (keys []string, ended bool) {
	res.w.mu.Lock()
	defer res.w.mu.Unlock()
	for _, r := range res.reqs {
		for i, e := range r.log {
			if !r.ok() || !e.base {
				break
			}
			switch {
			case e.op == "set" || e.op == "edit" && e.err == nil:
				keys = append(keys, fmt.Sprint("r", r.n, "o", i))
			case e.op == "destroy":
				ended = true
			}
		}
	}
	return keys, ended
}

func (res *result) running() bool {
	return slices.ContainsFunc(res.reqs, func(r *request) bool { return r.status == 0 })
}

// decide chooses the outcome of a call, and lets it happen.
func (res *result) decide(c *call, choose *chooser) outcome {
	kinds := []outcome{done}
	faults := 0
	for _, n := range res.faulted {
		faults += n
	}
	if faults < res.faults {
		kinds = append(kinds, refused)
		if c.kind != reads {
			kinds = append(kinds, lost, expired)
		}
		if c.kind == moves {
			kinds = append(kinds, half)
		}
	}
	var o outcome
	often := 4
	if c.kind == reads { // Most calls only read, and little depends on them.
		often = 16
	}
	if choose.random != nil && choose.random.IntN(often) != 0 {
		o = done
	} else {
		o = kinds[choose.pick(len(kinds))]
	}
	if o != done {
		if c.kind == ends && o != expired || c.kind == copies && o == lost {
			res.faulted[half]++ // There may be two of it.
		} else {
			res.faulted[o]++
		}
		c.req.faults++
	}
	c.req.half = o == half
	c.turn <- o
	return o
}

func (res *result) note(c *call, o outcome) {
	res.steps = append(res.steps, fmt.Sprintf("%d: %s%s", c.req.n, c.name, o))
}

// elsewhere tells whether another client sends the request: one that is new, or the one
// that has the owner's other session.
func (r *request) elsewhere() bool { return r.ops[0] == "guest" || r.ops[0] == "other" }

// send has the client send a request with the cookie that it holds.
func (a *app) send(res *result, r *request) {
	switch r.sent = res.jar; r.ops[0] {
	case "guest":
		r.sent = ""
	case "other":
		r.sent = otherID
	}
	go func() {
		rec := a.serve(context.WithValue(context.Background(), requestKey{}, r), "/", r.sent)
		a.w.mu.Lock()
		defer a.w.mu.Unlock()
		r.status, r.cookies, r.finished = rec.Code, rec.Result().Cookies(), true
	}()
}

func (a *app) serve(ctx context.Context, path, cookie string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, path, nil).WithContext(ctx)
	if cookie != "" {
		req.Header.Set("Cookie", cookieName+"="+cookie)
	}
	a.ServeHTTP(rec, req)
	return rec
}

// receive has the client follow Set-Cookie.
func (res *result) receive(r *request) {
	for _, c := range r.cookies {
		if c.MaxAge < 0 {
			res.jar = ""
		} else {
			res.jar = c.Value
		}
	}
}

// look has the client come back when all is quiet.
func (a *app) look(res *result) {
	a.w.free = true
	rec := a.serve(context.WithValue(context.Background(), lookKey{}, &res.final), "/look", res.jar)
	res.receive(&request{cookies: rec.Result().Cookies()})
}

var ops = []string{
	"get", "set", "update", "delete", "flush", "flash", "addflash", "rotate", "destroy", "commit", "lifetime", "panic",
	"edit", "refresh", "take",
}

// sequences are all programs of up to n operations.
func sequences(ops []string, n int) [][]string {
	all := [][]string{nil}
	for from := 0; n > 0; n-- {
		to := len(all)
		for _, prog := range all[from:to] {
			for _, op := range ops {
				all = append(all, append(slices.Clone(prog), op))
			}
		}
		from = to
	}
	return all[1:]
}

// TestExplore goes through schedules of two requests, and through random ones of
// three. EXPLORE=10m goes on that long; EXPLORE_SEED=n reproduces a random failure.
func TestExplore(t *testing.T) {
	limit, thorough := 10*time.Second, false
	if d, err := time.ParseDuration(os.Getenv("EXPLORE")); err == nil {
		limit, thorough = d, true
	}
	x := &explorer{found: make(map[string]*finding), rules: rules}
	var plans []plan
	short, long := sequences(ops, 1), sequences(ops, 2)
	for _, start := range []string{"session", "flash", "visitor"} {
		for _, p := range short {
			plans = append(plans, plan{start, [][]string{p}, 2})
			for _, q := range short {
				faults := 0
				if thorough || p[0] == "update" && q[0] == "update" { // The same twice is easily mistaken for one.
					faults = 1
				}
				plans = append(plans, plan{start, [][]string{p, q}, faults})
			}
		}
	}
	// A flash that may be stored, and taken, before it is stored again.
	for _, flash := range []string{"flash", "addflash"} {
		plans = append(plans, plan{"session", [][]string{{flash, "commit"}, {"get"}}, 1})
		plans = append(plans, plan{"session", [][]string{{flash, "rotate", "commit"}}, 2})
	}
	plans = append(plans, plan{"session", [][]string{{"take"}, {"take"}}, 1})
	for _, p := range short { // A session that others change before it is loaded again: Edit is what takes time.
		plans = append(plans, plan{"session", [][]string{p, {"edit", "refresh"}}, 0})
	}
	for _, p := range short { // A session that moves on and on.
		plans = append(plans, plan{"session", [][]string{p, {"rotate", "commit", "rotate"}}, 0})
	}
	for _, p := range long[len(short):] {
		plans = append(plans, plan{"session", [][]string{p}, 1})
		if !thorough {
			continue
		}
		for _, q := range short {
			plans = append(plans, plan{"session", [][]string{p, q}, 1})
		}
		for _, q := range long {
			plans = append(plans, plan{"session", [][]string{p, q}, 0})
		}
	}
	if x.moving = atOnce; thorough {
		x.moving = killed
	}
	x.all(t, session.Options{}, plans)
	if !thorough { // Where a move may stop halfway, there are more calls, and far more schedules.
		x.moving = killed
		x.few(t, session.Options{}, 2, plans)
	}
	x.some(t, session.Options{}, limit, func(r *rand.Rand) plan {
		return randomPlan(r, ops, []string{"session", "session", "flash", "visitor"})
	})
	x.report(t)
}

// all goes through all schedules of the plans.
func (x *explorer) all(t *testing.T, opt session.Options, plans []plan) {
	x.few(t, opt, 0, plans)
}

// few goes through those schedules in which requests that could go on have to wait for
// others so many times at most: all would take too long.
func (x *explorer) few(t *testing.T, opt session.Options, breaks int, plans []plan) {
	x.bubble(t, opt, func(a *app) {
		for _, p := range plans {
			c := &chooser{breaks: breaks}
			for {
				x.judge(a, p, c, 0)
				if !c.next() {
					break
				}
			}
		}
	})
	t.Logf("%d schedules of %d plans", x.schedules, len(plans))
}

// some goes through random schedules for so long, or through that of EXPLORE_SEED.
func (x *explorer) some(t *testing.T, opt session.Options, limit time.Duration, plan func(*rand.Rand) plan) {
	before, begin := x.schedules, time.Now()
	one := func(a *app, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		a.w.panics = seed%4 == 0
		x.judge(a, plan(r), &chooser{random: r, patience: r.IntN(8)}, seed)
	}
	if n, err := strconv.ParseUint(os.Getenv("EXPLORE_SEED"), 10, 64); err == nil {
		x.bubble(t, opt, func(a *app) { one(a, n) })
		limit = 0
	}
	seed := uint64(1) // The same every time, so that a failure is due to a change of the code.
	if os.Getenv("EXPLORE") != "" {
		seed = rand.Uint64()
	}
	for time.Since(begin) < limit && !(x.first && len(x.found) > 0) {
		x.bubble(t, opt, func(a *app) {
			for range 500 {
				one(a, seed)
				seed++
			}
		})
	}
	t.Logf("%d random schedules", x.schedules-before)
}

// bubble runs schedules in a world where time stands still.
func (x *explorer) bubble(t *testing.T, opt session.Options, fn func(a *app)) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, opt, x.moving, x.many)
		fn(a)
		_ = errors.Join(a.old.Close(t.Context()), a.m.Close(t.Context()))
	})
}

func randomPlan(r *rand.Rand, ops, starts []string) plan {
	p := plan{start: starts[r.IntN(len(starts))], faults: r.IntN(3)}
	for range 2 + r.IntN(2) {
		var prog []string
		for range 1 + r.IntN(3) {
			prog = append(prog, ops[r.IntN(len(ops))])
		}
		p.progs = append(p.progs, prog)
	}
	return p
}
