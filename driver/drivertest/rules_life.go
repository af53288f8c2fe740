package drivertest

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

// fn registers a function for /do and returns its name.
func (f *fleet) fn(s *server, fn func(call)) string {
	name := f.name()
	s.probe.mu.Lock()
	defer s.probe.mu.Unlock()
	s.probe.calls[name] = fn
	return name
}

func destroyAndSet(c call) {
	session.Destroy(c.Session)
	if v := c.Get("old"); v != nil {
		panic("a destroyed session still has data")
	}
	c.Set("new", "1")
}

func strictIDs(r rule, f *fleet) {
	a := f.start(nil)
	for _, forged := range []string{strings.Repeat("a", 32), strings.Repeat("0", 16), strings.Repeat("z", 128)} {
		v := stranger(f.t, a, forged)
		v.want(r, a, "nothing", "/read", "k", "k")
		v.ok(r, a, "/set", "k", "k", "v", "victim")
		if id := v.id(a); id == forged || id == "" {
			r.broken(f.t, "an ID of the client's making was adopted, or none given")
		}
		if got := stranger(f.t, a, forged).get(a, "/read", "k", "k"); got.body != "nothing" {
			r.broken(f.t, "the planted ID is a session now, and holds %q", got.body)
		}
	}
}

func entropy(r rule, f *fleet) {
	a := f.start(nil)
	seen := make(map[string]bool)
	shape := regexp.MustCompile(`^[0-9a-v]{26,}$`)
	letters := make(map[int]map[byte]bool) // that were seen at each place
	const n = 200
	for range n {
		v := newVisitor(f.t)
		id := v.ok(r, a, "/id").body
		if !shape.MatchString(id) {
			r.broken(f.t, "an ID of %d characters, or with other characters than 0-9 and a-v", len(id))
		}
		seen[id] = true
		for i := range id {
			if letters[i] == nil {
				letters[i] = make(map[byte]bool)
			}
			letters[i][id[i]] = true
		}
	}
	if len(seen) != n {
		r.broken(f.t, "%d different IDs in %d", len(seen), n)
	}
	random := 0
	for _, at := range letters {
		if len(at) > 24 { // Of 32 that are as likely as each other, 200 draws miss none, or one.
			random++
		}
	}
	if random < 26 {
		r.broken(f.t, "of the characters of an ID %d are random, with 5 bits each: fewer than 128 bits", random)
	}
}

// step is a little less than what separates before from after in the tests of
// expiry. Storage systems keep milliseconds, and tests take time.
const step = 20 * time.Second

func expiry(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	for _, c := range []struct {
		idle  time.Duration
		alive bool
	}{
		{lifetime - step, true},
		{lifetime, true},
		{lifetime + lifetime/20 + step, false},
		{2*lifetime - step, false},
	} {
		v := newVisitor(f.t)
		v.ok(r, a, "/set", "k", "k", "v", "v")
		id := v.id(a)
		f.clock.advance(c.idle)
		got := v.get(b, "/read", "k", "k").body == "v"
		if got != c.alive {
			r.broken(f.t, "idle for %v with a lifetime of %v: alive %v, want %v", c.idle, lifetime, got, c.alive)
		}
		// Neither a write nor Exist sees an expired session.
		if !c.alive && b.m.Store().Exist(context.Background(), id) {
			r.broken(f.t, "idle for %v: Exist says it is there", c.idle)
		}
	}
	// A passive request that was in the middle when the session ran out does not revive it.
	a = f.start(func(o *session.Options) { o.Passive = func(*http.Request) bool { return true } })
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "k", "v", "v")
	old := v.id(a)
	slow := v.hold(f, a, "/set", "k", "k", "v", "late")
	f.clock.advance(2 * lifetime)
	slow.finish(f.t)
	if got := stranger(f.t, b, old).get(b, "/read", "k", "k"); got.body != "nothing" {
		r.broken(f.t, "a slow write revived an expired session: %q", got.body)
	}
}

func slides(r rule, f *fleet) {
	persistent := func(o *session.Options) { o.Cookie.MaxAge = 7200 }
	a, b := f.start(persistent), f.start(persistent)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "k", "v", "v")
	for range 5 {
		f.clock.advance(lifetime - step)
		res := v.want(r, b, "v", "/read", "k", "k")
		if line := res.header.Get("Set-Cookie"); !strings.Contains(line, "Max-Age=7200") || res.cookie() != v.id(a) {
			r.broken(f.t, "the expiry slid, but the cookie was not sent again: %q", line)
		}
		if res := v.want(r, b, "v", "/read", "k", "k"); res.header.Get("Set-Cookie") != "" {
			r.broken(f.t, "the cookie is sent again at once: a write for every request")
		}
	}
	// Pages that do not use the session keep it alive too, also where no cookie has to be
	// sent again, for which the record would be written anyway.
	plain := f.start(nil)
	w := newVisitor(f.t)
	w.ok(r, plain, "/set", "k", "k", "v", "w")
	for range 3 {
		f.clock.advance(lifetime - step)
		v.ok(r, a, "/untouched")
		w.ok(r, plain, "/untouched")
	}
	v.want(r, a, "v", "/read", "k", "k")
	w.want(r, plain, "w", "/read", "k", "k")
}

func sweep(r rule, f *fleet) {
	a := f.start(nil)
	// For a server whose clock stands still nothing has expired: what it misses is
	// really gone. That says nothing where the servers share a clock, or where the
	// storage system sweeps by its own.
	late := f.start(func(o *session.Options) { hook.SetClock(o, time.Now) })
	ctx := context.Background()
	old, kept := newVisitor(f.t), newVisitor(f.t)
	old.ok(r, a, "/set", "k", "k", "v", "v")
	f.clock.advance(lifetime)
	kept.ok(r, a, "/set", "k", "k", "v", "v")
	f.clock.advance(lifetime / 2)
	there := late.m.Store().Exist(ctx, old.id(a)) && !f.suite.OwnClock && !f.suite.ClientSide
	if err := a.m.Store().GC(ctx); err != nil {
		r.broken(f.t, "GC: %v", err)
	}
	if there && late.m.Store().Exist(ctx, old.id(a)) {
		r.broken(f.t, "an expired record was not removed")
	}
	if !there {
		f.t.Log("whether the record was removed can't be seen from here")
	}
	kept.want(r, a, "v", "/read", "k", "k")
	if a.m.Store().Exist(ctx, old.id(a)) {
		r.broken(f.t, "an expired session is still there")
	}
}

func untouched(r rule, f *fleet) {
	a := f.start(nil)
	for range 10 {
		res := newVisitor(f.t).want(r, a, "untouched", "/untouched")
		if len(res.header.Values("Set-Cookie"))+len(res.header.Values("Vary"))+len(res.header.Values("Cache-Control")) != 0 {
			r.broken(f.t, "a route that does not use the session sent %v", res.header)
		}
		// Looking is not using.
		res = newVisitor(f.t).want(r, a, "nothing", "/read", "k", "k")
		if res.header.Get("Set-Cookie") != "" {
			r.broken(f.t, "reading a missing key made a session")
		}
		if res.header.Get("Vary") != "Cookie" {
			r.broken(f.t, "a response that depends on the cookie lacks Vary: Cookie, so a cache would show it to everybody")
		}
	}
}

func idIsStored(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	v := newVisitor(f.t)
	res := v.ok(r, a, "/id")
	if res.body != v.id(a) {
		r.broken(f.t, "the ID that the handler saw is not the one in the cookie")
	}
	if !f.suite.ForeignStore && !b.m.Store().Exist(context.Background(), res.body) {
		r.broken(f.t, "the ID that was handed out is not stored")
	}
	v.want(r, b, res.body, "/id")
}

func panics(r rule, f *fleet) {
	a := f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "k", "v", "before")
	old := v.id(a)
	res := v.do(f, a, func(c call) {
		c.Set("k", "after")
		c.SetFlash("half")
		_ = c.RegenerateID(c.ctx.ResponseWriter(), c.ctx.Request().Request)
		panic("half-way")
	})
	if res.status != http.StatusInternalServerError || res.cookie() != "" {
		r.broken(f.t, "a panicking handler: status %d, cookie %v", res.status, res.cookie() != "")
	}
	if v.id(a) != old {
		r.broken(f.t, "a panicking handler changed the ID")
	}
	v.want(r, a, "nothing", "/take")
	v.want(r, a, "before", "/read", "k", "k")
	// A visitor without a session gets none.
	if res := newVisitor(f.t).do(f, a, func(c call) { c.Set("k", 1); panic("half-way") }); res.cookie() != "" {
		r.broken(f.t, "a panicking handler made a session")
	}
}

// cookieValues are what a hostile client may send.
func cookieValues() []string {
	return []string{
		"", "a", "..", "../../etc/passwd", "ab/../../../x", `ab\..\..\x`, "%2e%2e%2f", strings.Repeat("a", 15),
		strings.Repeat("a", 129), strings.Repeat("a", 1<<16), strings.Repeat("A", 32), strings.Repeat("a", 31) + "'",
		strings.Repeat("a", 31) + "-", "' OR 1=1 --", "a\x00b", "\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc", `"` + strings.Repeat("a", 32) + `"x`, "con", ".tmp", "*",
		strings.Repeat("a", 20) + ".." + strings.Repeat("a", 10), "session:*", "$gt", "{}",
	}
}

// hostile gives the server no time for its store, so that a value which reaches
// the store would be answered 500.
func hostile(r rule, f *fleet) {
	a := f.start(func(o *session.Options) { o.StoreTimeout = time.Nanosecond })
	for _, value := range cookieValues() {
		rec := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodGet, "/untouched", nil)
		req.Header.Set("Cookie", a.name+"="+value)
		a.probe.handler(a.m).ServeHTTP(rec, req)
		if rec.Code != http.StatusOK {
			r.broken(f.t, "cookie %.40q: status %d", value, rec.Code)
		}
	}
	if errs := a.errs.all(); len(errs) != 0 {
		r.broken(f.t, "hostile cookies caused errors: %v", errs)
	}
}

func corrupt(r rule, f *fleet) {
	if f.suite.Corrupt == nil {
		f.t.Skip("not tested: Suite.Corrupt is not set")
	}
	a := f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "k", "v", "v")
	old := v.id(a)
	f.suite.Corrupt(f.t, old)
	v.want(r, a, "nothing", "/read", "k", "k")
	if len(a.errs.all()) == 0 {
		r.broken(f.t, "ErrorFunc did not hear of the record")
	}
	if strings.Contains(fmt.Sprint(a.errs.all()), old) {
		r.broken(f.t, "an error contains the session ID")
	}
	heard := len(a.errs.all())
	stranger(f.t, a, old).want(r, a, "nothing", "/read", "k", "k")
	if len(a.errs.all()) != heard {
		r.broken(f.t, "the bad record is reported with every request: anybody who has one can fill the log")
	}
	b := f.start(nil)
	stranger(f.t, b, old).want(r, b, "nothing", "/read", "k", "k")
	if len(b.errs.all()) == 0 {
		r.broken(f.t, "the bad record was not left alone: nobody can find out any more what was wrong with it")
	}
	v.ok(r, a, "/set", "k", "k", "v", "new")
	if v.id(a) == old {
		r.broken(f.t, "the new session took the ID of the bad record")
	}
	v.want(r, a, "new", "/read", "k", "k")
}

func outage(r rule, f *fleet) {
	good := f.start(nil)
	bad := f.start(func(o *session.Options) { o.StoreTimeout = time.Nanosecond })
	v := newVisitor(f.t)
	v.ok(r, good, "/set", "k", "k", "v", "v")
	start := time.Now()
	res := v.get(bad, "/read", "k", "k")
	if res.status != http.StatusInternalServerError {
		r.broken(f.t, "a session that can't be loaded: status %d, want 500", res.status)
	}
	if res.header.Get("Set-Cookie") != "" {
		r.broken(f.t, "an outage takes the visitor's cookie away")
	}
	newVisitor(f.t).want(r, bad, "untouched", "/untouched")
	if took := time.Since(start); took > 5*time.Second {
		r.broken(f.t, "failing took %v", took)
	}
	if len(bad.errs.all()) == 0 {
		r.broken(f.t, "ErrorFunc heard of nothing")
	}
	v.want(r, good, "v", "/read", "k", "k")
}

func cleanEnd(r rule, f *fleet) {
	before := stacks()
	opt := f.open()
	m, err := session.NewManager(opt)
	if err != nil {
		f.t.Fatal(err)
	}
	// Some work, so that there are connections and goroutines to end.
	p := newProbe()
	h := p.handler(m)
	together(8, func(int) {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/set?k=k&v=v", nil))
	})
	if err := m.Close(context.Background()); err != nil {
		r.broken(f.t, "Close: %v", err)
	}
	if err := m.Close(context.Background()); err != nil {
		r.broken(f.t, "a second Close: %v", err)
	}
	var left string
	if !eventually(func() bool { left = extra(before, stacks()); return left == "" }) {
		r.broken(f.t, "after Close this still runs:\n%s", left)
	}
}

// stacks counts the running goroutines by where they were started.
func stacks() map[string]int {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	count := make(map[string]int)
	sc := bufio.NewScanner(strings.NewReader(string(buf)))
	for sc.Scan() {
		if rest, ok := strings.CutPrefix(sc.Text(), "created by "); ok {
			rest, _, _ = strings.Cut(rest, " in goroutine")
			count[rest]++
		}
	}
	return count
}

// extra lists what there is more of than before, but for the HTTP client's and
// the test's own.
func extra(before, now map[string]int) string {
	var list []string
	for who, n := range now {
		if n > before[who] && !strings.HasPrefix(who, "net/http") && !strings.HasPrefix(who, "testing.") {
			list = append(list, fmt.Sprintf("%d of %s", n-before[who], who))
		}
	}
	return strings.Join(list, "\n")
}
