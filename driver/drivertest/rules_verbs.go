package drivertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flamego/session"
)

var errPlanned = errors.New("as planned")

// edit is Manager.Edit with a change that cannot fail.
func edit(s *server, id string, fn func(session.Session)) error {
	return s.m.Edit(context.Background(), id, func(sess session.Session) error { fn(sess); return nil })
}

// edits has a crowd change a session from outside while a request of it is held.
func edits(r rule, f *fleet) {
	servers := f.pool()
	a, b := servers[0], servers[len(servers)-1]
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "first", "v", "1")
	id := v.id(a)
	slow := v.hold(f, a, "/add", "k", "n")
	const editors = 16
	errs := make([]error, editors)
	together(editors, func(i int) {
		errs[i] = edit(servers[i%len(servers)], id, func(s session.Session) {
			session.Update(s, "n", func(n int) int { return n + 1 })
			s.Set("by"+strconv.Itoa(i), "1")
		})
	})
	if err := errors.Join(errs...); err != nil {
		r.broken(f.t, "Edit: %v", err)
	}
	if a := slow.finish(f.t); a.status != http.StatusOK {
		r.broken(f.t, "a request during Edit: status %d", a.status)
	}
	v.want(r, b, strconv.Itoa(editors+1), "/read", "k", "n")
	for i := range editors {
		v.want(r, a, "1", "/read", "k", "by"+strconv.Itoa(i))
	}
	v.want(r, a, "1", "/read", "k", "first")

	// An error of the function changes nothing, and comes back.
	err := a.m.Edit(context.Background(), id, func(s session.Session) error {
		s.Set("first", "2")
		return errPlanned
	})
	if !errors.Is(err, errPlanned) {
		r.broken(f.t, "the function's error comes back as %v", err)
	}
	v.want(r, a, "1", "/read", "k", "first")

	// The flash is the visitor's.
	v.ok(r, a, "/addflash", "v", "one")
	if err := edit(b, id, func(s session.Session) { session.AddFlash(s, "two"); s.Set("first", "3") }); err != nil {
		r.broken(f.t, "Edit: %v", err)
	}
	v.want(r, a, "[one two]", "/flashes")
	v.want(r, a, "3", "/read", "k", "first")
	if v.id(a) != id {
		r.broken(f.t, "Edit changed the ID")
	}
}

// editsEnd has Edit meet what is not there, or not any more.
func editsEnd(r rule, f *fleet) {
	servers := f.pool()
	a, b := servers[0], servers[len(servers)-1]
	set := func(s session.Session) { s.Set("user", "edited") }
	for _, id := range append(cookieValues(), strings.Repeat("a", 32)) {
		if err := edit(a, id, set); !errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrEnded) {
			r.broken(f.t, "Edit of the ID %.40q, which no session has: %v, want ErrNotFound", id, err)
		}
		if a.m.Store().Exist(context.Background(), id) {
			r.broken(f.t, "Edit made a session")
		}
	}
	for _, page := range []string{"/destroy", "/logout", "/rotate"} {
		v := newVisitor(f.t)
		v.ok(r, a, "/set", "k", "user", "v", "1")
		id := v.id(a)
		err := edit(a, id, func(s session.Session) {
			v.ok(r, b, page)
			set(s)
		})
		if !errors.Is(err, session.ErrEnded) || errors.Is(err, session.ErrNotFound) {
			r.broken(f.t, "%s while Edit worked: %v, want ErrEnded", page, err)
		}
		dead(r, f, servers, id)
		if page == "/rotate" {
			v.want(r, a, "1", "/read", "k", "user")
		}
		if err := edit(b, id, set); !errors.Is(err, session.ErrNotFound) {
			r.broken(f.t, "%s before Edit: %v, want ErrNotFound", page, err)
		}
		dead(r, f, servers, id)
	}
	editsDestroy(r, f, servers)
	editsOutside(r, f, a, b)
}

// dead checks that nobody finds a session under the ID.
func dead(r rule, f *fleet, servers []*server, id string) {
	f.t.Helper()
	for _, s := range servers {
		if got := stranger(f.t, s, id).get(s, "/read", "k", "user"); got.body != "nothing" {
			r.broken(f.t, "the session that was ended holds %q", got.body)
		}
	}
}

// editsDestroy ends sessions by Edit.
func editsDestroy(r rule, f *fleet, servers []*server) {
	f.t.Helper()
	a := servers[0]
	for _, again := range []bool{false, true} {
		v := newVisitor(f.t)
		v.ok(r, a, "/set", "k", "user", "v", "1")
		id := v.id(a)
		var in session.Session
		err := edit(a, id, func(s session.Session) {
			in = s
			session.Destroy(s)
			if again {
				s.Set("user", "edited")
			}
		})
		if (err != nil) != again {
			r.broken(f.t, "Destroy in Edit, with a change after it: %v: %v", again, err)
		}
		dead(r, f, servers, id)
		if again && a.m.Store().Exist(context.Background(), in.ID()) {
			r.broken(f.t, "Edit made a session")
		}
	}
}

// editsOutside has Edit do what takes a client, and work for a caller who has left.
func editsOutside(r rule, f *fleet, a, b *server) {
	f.t.Helper()
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "user", "v", "1")
	var err error
	rotated := edit(a, v.id(a), func(s session.Session) {
		err = s.RegenerateID(nil, nil)
		s.Set("user", "edited")
	})
	if err == nil || rotated != nil {
		r.broken(f.t, "RegenerateID in Edit: %v, %v; want an error, and that the rest is stored", err, rotated)
	}
	v.want(r, b, "edited", "/read", "k", "user")

	ctx, cancel := context.WithCancel(context.Background())
	err = a.m.Edit(ctx, v.id(a), func(s session.Session) error {
		cancel()
		s.Set("user", "late")
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		r.broken(f.t, "a context that ended in Edit: %v", err)
	}
	v.want(r, b, "edited", "/read", "k", "user")
}

// editsStill has Edit change sessions that nobody uses.
func editsStill(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	for _, c := range []struct {
		own, idle time.Duration // a lifetime given by the Edit; idle since
		alive     bool
	}{
		{0, lifetime/2 - step, true},
		{0, lifetime/2 + lifetime/20 + step, false},
		{lifetime / 6, lifetime/6 - step, true},
		{lifetime / 6, lifetime/6 + lifetime/120 + step, false},
		{3 * lifetime, 3*lifetime - step, true},
	} {
		v := newVisitor(f.t)
		v.ok(r, a, "/set", "k", "k", "v", "v")
		f.clock.advance(lifetime / 2)
		err := edit(b, v.id(a), func(s session.Session) {
			s.Set("more", "1")
			if c.own != 0 {
				_ = session.SetLifetime(s, c.own)
			}
		})
		if err != nil {
			r.broken(f.t, "Edit: %v", err)
		}
		f.clock.advance(c.idle)
		if alive := v.get(a, "/read", "k", "more").body == "1"; alive != c.alive {
			r.broken(f.t, "Edit half a lifetime after the last request, with a lifetime of its own of %v; idle for %v since: alive %v, want %v", c.own, c.idle, alive, c.alive)
		}
	}
}

// passively has a page poll a session that nobody uses.
func passively(r rule, f *fleet) {
	change := func(o *session.Options) {
		o.Cookie.MaxAge = 7200
		o.Passive = func(r *http.Request) bool { return r.URL.Query().Has("passive") }
	}
	a, b := f.start(change), f.start(change)
	for _, page := range []string{"/read", "/set"} {
		v := newVisitor(f.t)
		v.ok(r, a, "/set", "k", "k", "v", "v")
		for range 3 {
			f.clock.advance(lifetime/3 - step/3)
			res := v.ok(r, b, page, "k", "k", "v", "v", "passive", "1")
			if line := res.header.Get("Set-Cookie"); line != "" && !f.suite.ClientSide {
				r.broken(f.t, "%s: a passive request sends the cookie again: %q", page, hide(line))
			}
		}
		v.want(r, a, "v", "/read", "k", "k", "passive", "1")
		f.clock.advance(lifetime/20 + 2*step)
		v.want(r, a, "nothing", "/read", "k", "k")
	}
	// A request that is not passive is an access all the same.
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "k", "v", "v")
	f.clock.advance(lifetime - step)
	if line := v.want(r, b, "v", "/read", "k", "k").header.Get("Set-Cookie"); !strings.Contains(line, "Max-Age=7200") {
		r.broken(f.t, "the expiry slid, but the cookie was not sent again: %q", hide(line))
	}
	f.clock.advance(lifetime - step)
	v.want(r, a, "v", "/read", "k", "k")

	v.ok(r, a, "/flash", "v", "saved")
	v.want(r, b, "nothing", "/take", "passive", "1")
	v.want(r, b, "[]", "/flashes", "passive", "1")
	v.want(r, b, "saved", "/take")
}

// refreshed has a long request see what others store meanwhile.
func refreshed(r rule, f *fleet) {
	servers := f.pool()
	a, b := servers[0], servers[len(servers)-1]
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "k", "v", "before")
	tab := v.twin(a)
	ctx := context.Background()
	add := func(n int) int { return n + 1 }
	v.do(f, a, func(c call) {
		c.Set("mine", "1")
		session.Update(c.Session, "n", add)
		tab.ok(r, b, "/set", "k", "k", "v", "after")
		tab.ok(r, b, "/add", "k", "n")
		tab.ok(r, b, "/addflash", "v", "hello")
		if err := session.Refresh(ctx, c.Session); err != nil {
			r.broken(f.t, "Refresh: %v", err)
		}
		if got := fmt.Sprintf("%v %v %v", c.Get("k"), c.Get("mine"), c.Get("n")); got != "after 1 2" {
			r.broken(f.t, "after Refresh the request sees %q, want %q", got, "after 1 2")
		}
	})
	v.want(r, b, "[hello]", "/flashes")
	v.want(r, b, "2", "/read", "k", "n")
	v.want(r, b, "1", "/read", "k", "mine")

	for _, page := range []string{"/destroy", "/rotate"} {
		w := newVisitor(f.t)
		w.ok(r, a, "/set", "k", "user", "v", "1")
		old, tab := w.id(a), w.twin(a)
		w.do(f, a, func(c call) {
			c.Set("user", "2")
			tab.ok(r, b, page)
			for range 2 {
				if err := session.Refresh(ctx, c.Session); !errors.Is(err, session.ErrEnded) {
					r.broken(f.t, "%s, then Refresh: %v, want ErrEnded", page, err)
				}
			}
		})
		if got := stranger(f.t, a, old).get(a, "/read", "k", "user"); got.body != "nothing" {
			r.broken(f.t, "the session that was ended holds %q", got.body)
		}
	}
	// Without a session there is nothing to load, and none is made.
	res := newVisitor(f.t).do(f, a, func(c call) {
		if err := session.Refresh(ctx, c.Session); err != nil {
			r.broken(f.t, "Refresh without a session: %v", err)
		}
	})
	if res.cookie() != "" {
		r.broken(f.t, "Refresh made a session")
	}
}

// refreshedLives has a single request keep its session alive.
func refreshedLives(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "k", "v", "v")
	v.do(f, a, func(c call) {
		for range 3 {
			f.clock.advance(lifetime - step)
			if err := session.Refresh(context.Background(), c.Session); err != nil {
				r.broken(f.t, "Refresh: %v", err)
			}
		}
	})
	f.clock.advance(lifetime - step)
	v.want(r, b, "v", "/read", "k", "k")
	v.do(f, a, func(c call) {
		f.clock.advance(2 * lifetime)
		if err := session.Refresh(context.Background(), c.Session); !errors.Is(err, session.ErrEnded) {
			r.broken(f.t, "Refresh of a session that has expired: %v, want ErrEnded", err)
		}
	})
	v.want(r, b, "nothing", "/read", "k", "k")
}

// expires compares Expires with when sessions end.
func expires(r rule, f *fleet) {
	const limit = 5 * lifetime / 2
	a := f.start(func(o *session.Options) { o.AbsoluteLifetime = limit })
	ends := func(v *visitor, fn func(call)) (end time.Time) {
		v.do(f, a, func(c call) { fn(c); end = session.Expires(c.Session) })
		return end
	}
	looks := map[string]func(call){
		"a look":     func(call) {},
		"a change":   func(c call) { c.Set("n", 1) },
		"a lifetime": func(c call) { _ = session.SetLifetime(c.Session, lifetime/2) },
	}
	for name, look := range looks {
		for _, busy := range []int{0, 2} { // With two more the absolute timeout comes first.
			for _, alive := range []bool{true, false} {
				v := newVisitor(f.t)
				if end := ends(v, func(call) {}); !end.IsZero() {
					r.broken(f.t, "without a session Expires is %v", end)
				}
				end := ends(v, func(c call) { c.Set("k", "v") })
				if d := end.Sub(f.clock.now()); d < lifetime || d > lifetime+lifetime/20 {
					r.broken(f.t, "Expires of a new session is in %v", d)
				}
				for range busy {
					f.clock.advance(lifetime - step)
					v.want(r, a, "v", "/read", "k", "k")
				}
				end = ends(v, look)
				if alive {
					f.clock.advance(end.Sub(f.clock.now()) - step)
				} else {
					f.clock.advance(end.Sub(f.clock.now()) + step/10)
				}
				if got := v.get(a, "/read", "k", "k").body == "v"; got != alive {
					r.broken(f.t, "%s after %d visits: when Expires says so, the session is alive %v, want %v", name, busy, got, alive)
				}
			}
		}
	}
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "k", "v", "v")
	if end := ends(v, func(c call) { session.Destroy(c.Session) }); !end.IsZero() {
		r.broken(f.t, "after Destroy Expires is %v", end)
	}
}

// addFlashes has a crowd add a flash each, and another one ask for them.
func addFlashes(r rule, f *fleet) {
	servers := f.pool()
	v := newVisitor(f.t)
	v.ok(r, servers[0], "/set", "k", "k", "v", "v")
	answers := gather(f.t, servers, func(i int, s *server, hold string) answer {
		return v.get(s, "/addflash", "v", strconv.Itoa(i), "hold", hold)
	})
	for i, a := range answers {
		if a.status != http.StatusOK {
			r.broken(f.t, "AddFlash %d: status %d, %v", i, a.status, a.err)
		}
	}
	got := make([]string, crowd/2)
	together(len(got), func(i int) { got[i] = v.get(servers[i%len(servers)], "/flashes").body })
	seen := strings.Fields(strings.Trim(strings.ReplaceAll(strings.Join(got, " "), "] [", " "), "[]"))
	slices.Sort(seen)
	if n := len(slices.Compact(slices.Clone(seen))); n != crowd || len(seen) != crowd {
		r.broken(f.t, "of %d flashes added at once %d were shown, %d times in all", crowd, n, len(seen))
	}
	v.want(r, servers[0], "[]", "/flashes")
}

// flashPage is a visitor with whom flashes are tried out.
type flashPage struct {
	r rule
	f *fleet
	v *visitor
}

// ask has a handler do something, and returns what it is shown after that.
func (p flashPage) ask(s *server, fn func(call)) (res answer, list []any, single any) {
	res = p.v.do(p.f, s, func(c call) {
		if fn != nil {
			fn(c)
		}
		list, single = session.Flashes(c.Session), c.flash
	})
	return res, list, single
}

// want is ask, and fails the test unless the handler is shown this.
func (p flashPage) want(s *server, when string, fn func(call), single any, list ...any) {
	p.f.t.Helper()
	_, got, one := p.ask(s, fn)
	if fmt.Sprintf("%#v", one) != fmt.Sprintf("%#v", single) {
		p.r.broken(p.f.t, "%s: session.Flash is %#v, want %#v", when, one, single)
	}
	if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", list) && len(got)+len(list) > 0 {
		p.r.broken(p.f.t, "%s: Flashes returns %#v, want %#v", when, got, list)
	}
}

func addsFlashes(vals ...any) func(call) {
	return func(c call) {
		for _, val := range vals {
			session.AddFlash(c.Session, val)
		}
	}
}

// flashVerbs goes through what handlers do with flashes.
func flashVerbs(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	v := flashPage{r, f, newVisitor(f.t)}
	v.want(a, "SetFlash", func(c call) { c.SetFlash("one") }, nil)
	v.want(b, "after SetFlash", nil, "one", "one")
	v.want(a, "AddFlash", addsFlashes("one"), nil)
	v.want(b, "after one AddFlash", nil, []any{"one"}, "one")
	v.want(a, "AddFlash", addsFlashes("one", nil, 2, meeting{Text: "three"}), nil)
	v.want(b, "after several", addsFlashes("four"), []any{"one", 2, meeting{Text: "three"}}, "one", 2, meeting{Text: "three"})
	v.want(a, "after those", nil, []any{"four"}, "four")
	v.want(b, "once more", nil, nil)
	v.want(a, "a slice", func(c call) { c.SetFlash([]string{"one", "two"}) }, nil)
	v.want(b, "after a slice", nil, []string{"one", "two"}, []string{"one", "two"})
	v.want(a, "both", func(c call) { c.SetFlash("one"); session.AddFlash(c.Session, "two") }, nil)
	v.want(b, "after both", nil, []any{"one", "two"}, "one", "two")
	v.want(a, "replaced", func(c call) { session.AddFlash(c.Session, "two"); c.SetFlash("one") }, nil)
	v.want(b, "after it was replaced", nil, "one", "one")
	v.want(a, "flushed", func(c call) { session.AddFlash(c.Session, "one"); c.Flush(); c.Set("k", "v") }, nil)
	v.want(b, "after Flush", nil, nil)

	// More than ten, which are not in the order of their names.
	var many []any
	for i := range 25 {
		many = append(many, i)
	}
	v.want(a, "many", addsFlashes(many...), nil)
	v.want(b, "after many", nil, many, many...)

	// AddFlash makes a session, as SetFlash does.
	w := flashPage{r, f, newVisitor(f.t)}
	w.want(a, "a new visitor", addsFlashes("hello"), nil)
	w.want(b, "the same visitor", nil, []any{"hello"}, "hello")
	flashPages(r, f, a, b)
}

// flashPages has flashes that are meant for this page, or for the page after the next.
func flashPages(r rule, f *fleet, a, b *server) {
	v := flashPage{r, f, newVisitor(f.t)}
	keeps := func(c call) { session.KeepFlash(c.Session) }
	v.want(a, "SetFlash", func(c call) { c.SetFlash("one") }, nil)
	v.want(b, "KeepFlash", func(c call) { keeps(c); keeps(c) }, "one", "one")
	v.want(a, "KeepFlash again", func(c call) { addsFlashes("two")(c); keeps(c); addsFlashes("three")(c) }, "one", "one")
	v.want(b, "a list kept", keeps, []any{"one", "two", "three"}, "one", "two", "three")
	v.want(a, "after a list kept", nil, []any{"one", "two", "three"}, "one", "two", "three")
	v.want(b, "nothing to keep", keeps, nil)
	v.want(b, "after nothing", nil, nil)

	now := func(c call) { session.FlashNow(c.Session, "now") }
	v.want(a, "FlashNow", func(c call) { now(c); addsFlashes("next")(c) }, nil, "now")
	v.want(b, "FlashNow with others", func(c call) { now(c); keeps(c) }, []any{"next"}, "next", "now")
	v.want(a, "after FlashNow", nil, []any{"next"}, "next")
	res, list, _ := flashPage{r, f, newVisitor(f.t)}.ask(a, now)
	if res.cookie() != "" || len(list) != 1 {
		r.broken(f.t, "FlashNow for a visitor without a session: a cookie %v, %v", res.cookie() != "", list)
	}
}

// takes has a crowd ask for a code that only one may get.
func takes(r rule, f *fleet) {
	servers := f.pool()
	a, b := servers[0], servers[len(servers)-1]
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "first", "v", "1")
	for round := range 3 {
		code := "code" + strconv.Itoa(round)
		v.ok(r, a, "/set", "k", "code", "v", code)
		answers := gather(f.t, servers, func(_ int, s *server, hold string) answer {
			return v.get(s, "/takekey", "k", "code", "hold", hold)
		})
		got := 0
		for i, a := range answers {
			switch {
			case a.status == http.StatusOK && a.body == code:
				got++
			case a.status != http.StatusOK || a.body != "nothing":
				r.broken(f.t, "Take %d: status %d, %q, %v", i, a.status, a.body, a.err)
			}
		}
		if got != 1 {
			r.broken(f.t, "of %d requests at once %d got the code", crowd, got)
		}
		v.want(r, b, "nothing", "/read", "k", "code")
	}
	v.want(r, b, "1", "/read", "k", "first")

	ctx := context.Background()
	v.do(f, a, func(c call) {
		if _, ok, err := session.Take[int](ctx, c.Session, "first"); ok || err != nil {
			r.broken(f.t, "Take with another type: %v, %v", ok, err)
		}
		if _, ok, err := session.Take[string](ctx, c.Session, "missing"); ok || err != nil {
			r.broken(f.t, "Take of a missing key: %v, %v", ok, err)
		}
		c.Set("other", "1")
		c.Set("own", "1")
		session.Update(c.Session, "n", func(n int) int { return n + 1 })
		session.Update(c.Session, "n", func(n int) int { return n + 1 })
		own, _, err := session.Take[string](ctx, c.Session, "own")
		if own != "1" || err != nil {
			r.broken(f.t, "Take of what this request has set: %q, %v", own, err)
		}
		n, _, err := session.Take[int](ctx, c.Session, "n")
		if n != 2 || err != nil {
			r.broken(f.t, "Take of what this request has updated: %d, %v", n, err)
		}
		session.Update(c.Session, "n", func(n int) int { return n + 7 })
	})
	v.want(r, b, "1", "/read", "k", "first")
	v.want(r, b, "1", "/read", "k", "other")
	v.want(r, b, "nothing", "/read", "k", "own")
	v.want(r, b, "7", "/read", "k", "n")

	// An ended session hands out nothing.
	tab := v.twin(a)
	v.do(f, a, func(c call) {
		tab.ok(r, b, "/destroy")
		if got, ok, err := session.Take[string](ctx, c.Session, "first"); ok || !errors.Is(err, session.ErrEnded) {
			r.broken(f.t, "Take from a session that has ended: %q, %v", got, err)
		}
	})
}

func clientEdits(r rule, f *fleet) {
	a := f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "k", "v", "v")
	ran := false
	for _, id := range []string{v.id(a), v.ok(r, a, "/id").body} {
		if err := edit(a, id, func(session.Session) { ran = true }); err == nil || ran {
			r.broken(f.t, "Edit: %v, and the function ran: %v; want an error", err, ran)
		}
	}
}

func clientRefreshes(r rule, f *fleet) {
	a := f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "k", "v", "v")
	v.do(f, a, func(c call) {
		if err := session.Refresh(context.Background(), c.Session); err == nil || errors.Is(err, session.ErrEnded) {
			r.broken(f.t, "Refresh: %v, want another error", err)
		}
	})
	v.want(r, a, "v", "/read", "k", "k")
}

func clientTakes(r rule, f *fleet) {
	a := f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "k", "v", "v")
	v.do(f, a, func(c call) {
		if got, ok, err := session.Take[string](context.Background(), c.Session, "k"); ok || err == nil {
			r.broken(f.t, "Take: %q, %v; want an error", got, err)
		}
	})
	v.want(r, a, "v", "/read", "k", "k")
}

func clientAddsFlashes(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/addflash", "v", "one")
	v.want(r, b, "[one]", "/flashes")
	v.want(r, a, "[]", "/flashes")
}
