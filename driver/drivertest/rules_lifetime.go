package drivertest

import (
	"net/http"
	"strings"
	"time"

	"github.com/flamego/session"
)

// busy lets time go by, in which the session is used on one server and on the
// other, so that it is never idle.
func (v *visitor) busy(r rule, f *fleet, servers []*server, d, every time.Duration) {
	v.t.Helper()
	for i := 0; d > 0; i++ {
		f.clock.advance(min(d, every))
		d -= every
		v.want(r, servers[i%len(servers)], "v", "/read", "k", "k")
	}
}

// ways are what must make no difference to how long a session lasts.
var ways = map[string]func(*visitor, rule, *fleet, *server){
	"as it is": func(*visitor, rule, *fleet, *server) {},
	"rotated":  func(v *visitor, r rule, _ *fleet, s *server) { v.ok(r, s, "/rotate") },
	"flushed": func(v *visitor, r rule, f *fleet, s *server) {
		v.do(f, s, func(c call) { c.Flush(); c.Set("k", "v") })
	},
	"written": func(v *visitor, r rule, _ *fleet, s *server) { v.ok(r, s, "/add", "k", "n") },
}

// absolute has sessions that are never idle come to the end of their time.
func absolute(r rule, f *fleet) {
	const limit = 4 * lifetime
	limited := func(o *session.Options) { o.AbsoluteLifetime = limit }
	servers := []*server{f.start(limited), f.start(limited)}
	for name, way := range ways {
		for _, c := range []struct {
			at    time.Duration
			alive bool
		}{{-step, true}, {0, false}, {step, false}} {
			v := newVisitor(f.t)
			v.ok(r, servers[0], "/set", "k", "k", "v", "v")
			v.busy(r, f, servers, limit/2, lifetime-step)
			way(v, r, f, servers[1])
			v.busy(r, f, servers, limit/2-lifetime/2, lifetime-step)
			f.clock.advance(lifetime/2 + c.at)
			for _, s := range servers {
				if alive := v.get(s, "/read", "k", "k").body == "v"; alive != c.alive {
					r.broken(f.t, "%s, %v from its absolute lifetime of %v: alive %v, want %v", name, c.at, limit, alive, c.alive)
				}
			}
		}
	}
}

// absoluteAtSignIn has a visitor sign in with a cart that has used up most of its time.
func absoluteAtSignIn(r rule, f *fleet) {
	const limit = 12 * time.Hour
	a := f.start(func(o *session.Options) { o.AbsoluteLifetime = limit })
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "cart", "v", "tea")
	stay := func(d time.Duration) {
		for range d / (lifetime / 2) {
			f.clock.advance(lifetime / 2)
			v.want(r, a, "tea", "/read", "k", "cart")
		}
	}
	stay(limit - lifetime)
	m := v.signsIn(r, a, "ann")
	stay(limit - lifetime)
	v.signsIn(r, a, "ann") // Once more, which begins nothing.
	f.clock.advance(lifetime/2 - step)
	v.want(r, a, "tea", "/read", "k", "cart")
	f.lists(r, []*server{a}, "ann", m)
	f.clock.advance(lifetime/2 + step)
	v.want(r, a, "nothing", "/read", "k", "cart")
}

// absoluteLater turns the limit on while there are sessions.
func absoluteLater(r rule, f *fleet) {
	const limit = 4 * lifetime
	before := f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, before, "/set", "k", "k", "v", "v")
	v.busy(r, f, []*server{before}, limit, lifetime-step)
	limited := func(o *session.Options) { o.AbsoluteLifetime = limit }
	servers := []*server{f.start(limited), f.start(limited)}
	v.want(r, servers[0], "v", "/read", "k", "k")
	v.busy(r, f, servers, limit-step, lifetime-step)
	f.clock.advance(step)
	v.want(r, servers[1], "nothing", "/read", "k", "k")
}

// ownAbsolute gives sessions absolute timeouts of their own, shorter and longer than that of
// all, and remembers them. No cookie promises more than the session has.
func ownAbsolute(r rule, f *fleet) {
	const limit, short, long = 4 * lifetime, 2 * lifetime, 30 * 24 * time.Hour
	limited := func(o *session.Options) { o.AbsoluteLifetime, o.Cookie.MaxAge = limit, int(long/time.Second) }
	servers := []*server{f.start(limited), f.start(limited)}
	unlimited := []*server{f.start(nil), f.start(nil)}
	for _, c := range []struct {
		servers []*server
		own     time.Duration
		ends    time.Duration
	}{{servers, 0, limit}, {servers, short, short}, {servers, 6 * lifetime, 6 * lifetime}, {unlimited, short, short}, {servers, long, long}} {
		for name, way := range ways {
			for _, alive := range []bool{true, false} {
				v := newVisitor(f.t)
				a := v.do(f, c.servers[0], func(at call) {
					at.Set("k", "v")
					if err := session.SetAbsoluteLifetime(at.Session, c.own); err != nil {
						r.broken(f.t, "SetAbsoluteLifetime: %v", err)
					}
					if err := session.Remember(at.Session, c.ends+time.Second); err == nil {
						r.broken(f.t, "Remember for longer than the absolute timeout of %v is no error", c.ends)
					}
					if err := session.Remember(at.Session, c.ends); err != nil {
						r.broken(f.t, "Remember for the absolute timeout of %v: %v", c.ends, err)
					}
					if c.own != 0 && session.SetAbsoluteLifetime(at.Session, c.own-time.Second) == nil {
						r.broken(f.t, "an absolute timeout that is shorter than the cookie is no error")
					}
				})
				began := f.clock.now()
				promise := func(a answer, at string) {
					for _, cookie := range (&http.Response{Header: a.header}).Cookies() {
						if end := f.clock.now().Add(time.Duration(cookie.MaxAge) * time.Second); end.After(began.Add(c.ends)) {
							r.broken(f.t, "%s, %s: a Max-Age of %d, which is %v too long", name, at, cookie.MaxAge, end.Sub(began.Add(c.ends)))
						}
					}
				}
				promise(a, "at first")
				v.busy(r, f, c.servers, c.ends/2, lifetime-step)
				way(v, r, f, c.servers[1])
				promise(v.ok(r, c.servers[0], "/rotate"), "half-way")
				f.clock.advance(c.ends/2 - step)
				if !alive {
					f.clock.advance(step)
				}
				for _, s := range c.servers {
					if got := v.get(s, "/read", "k", "k").body == "v"; got != alive {
						r.broken(f.t, "%s, an absolute timeout of %v, %v before its end or at it: alive %v, want %v", name, c.ends, step, got, alive)
					}
				}
			}
		}
	}
}

// ownLifetime gives sessions idle timeouts of their own.
func ownLifetime(r rule, f *fleet) {
	servers := []*server{f.start(nil), f.start(nil)}
	for _, d := range []time.Duration{lifetime / 6, 6 * lifetime} {
		for name, way := range ways {
			for _, c := range []struct {
				at    time.Duration
				alive bool
			}{{-step, true}, {0, true}, {d/20 + step, false}} {
				v := newVisitor(f.t)
				v.do(f, servers[0], func(c call) {
					c.Set("k", "v")
					if err := session.SetLifetime(c.Session, d); err != nil {
						r.broken(f.t, "SetLifetime: %v", err)
					}
				})
				v.busy(r, f, servers, 2*d, d-step)
				way(v, r, f, servers[1])
				v.busy(r, f, servers, d, d-step)
				f.clock.advance(d + c.at)
				for _, s := range servers {
					if alive := v.get(s, "/read", "k", "k").body == "v"; alive != c.alive {
						r.broken(f.t, "%s, with a lifetime of %v, idle for %v: alive %v, want %v", name, d, d+c.at, alive, c.alive)
					}
				}
			}
		}
	}
	// Taken back.
	v := newVisitor(f.t)
	v.do(f, servers[0], func(c call) { c.Set("k", "v"); _ = session.SetLifetime(c.Session, 6*lifetime) })
	v.do(f, servers[1], func(c call) { _ = session.SetLifetime(c.Session, 0) })
	f.clock.advance(lifetime)
	v.want(r, servers[0], "v", "/read", "k", "k")
	f.clock.advance(lifetime + lifetime/20 + step)
	v.want(r, servers[0], "nothing", "/read", "k", "k")
}

// remember makes the cookie persistent.
func remember(r rule, f *fleet) {
	servers := []*server{f.start(nil), f.start(nil)}
	const d = 30 * 24 * time.Hour
	line := func(a answer, want bool, when string) {
		got := a.header.Get("Set-Cookie")
		if got == "" || strings.Contains(got, "Max-Age=2592000") != want || strings.Contains(got, "Max-Age") != want {
			r.broken(f.t, "%s: the cookie is %q, persistent should be %v", when, hide(got), want)
		}
	}
	remembers := func(d time.Duration) func(c call) {
		return func(c call) {
			c.Set("k", "v")
			if err := session.Remember(c.Session, d); err != nil {
				r.broken(f.t, "Remember: %v", err)
			}
		}
	}
	v := newVisitor(f.t)
	line(v.ok(r, servers[0], "/set", "k", "k", "v", "v"), false, "before Remember")
	line(v.do(f, servers[0], remembers(d)), true, "Remember")
	if a := v.want(r, servers[1], "v", "/read", "k", "k"); a.header.Get("Set-Cookie") != "" {
		r.broken(f.t, "the cookie is sent again at once: a write for every request")
	}
	line(v.ok(r, servers[1], "/rotate"), true, "rotated")
	f.clock.advance(d - step)
	line(v.want(r, servers[0], "v", "/read", "k", "k"), true, "the expiry slid")
	line(v.do(f, servers[1], remembers(0)), false, "taken back")
	f.clock.advance(lifetime + lifetime/20 + step)
	v.want(r, servers[0], "nothing", "/read", "k", "k")

	// A stranger who is remembered without a session gets none.
	w := newVisitor(f.t)
	if a := w.do(f, servers[0], func(c call) { _ = session.Remember(c.Session, d) }); a.cookie() != "" {
		r.broken(f.t, "Remember alone made a session")
	}
	w.do(f, servers[0], remembers(d))
	f.clock.advance(d)
	w.want(r, servers[1], "v", "/read", "k", "k")
	f.clock.advance(d + d/20 + step)
	w.want(r, servers[1], "nothing", "/read", "k", "k")
}

// hide leaves the value out of a cookie's line.
func hide(line string) string {
	_, rest, _ := strings.Cut(line, ";")
	return "…;" + rest
}

// touchKeepsDecision has one request decide how long the session lasts while another
// one, which has loaded it before, is about to slide the expiry.
func touchKeepsDecision(r rule, f *fleet) {
	persistent := func(o *session.Options) { o.Cookie.MaxAge = 7200 }
	a, b := f.start(persistent), f.start(persistent)
	for _, d := range []time.Duration{lifetime / 6, 6 * lifetime} {
		for _, c := range []struct {
			idle  time.Duration
			alive bool
		}{{d - step, true}, {d + d/20 + step, false}} {
			v := newVisitor(f.t)
			name := f.t.Name() + f.name()
			v.do(f, a, func(c call) { c.Set("k", "v"); c.Set("interlude", interlude{name}) })
			f.clock.advance(lifetime / 2)
			tab := v.twin(a)
			decide := func() {
				v.do(f, b, func(c call) {
					if err := session.Remember(c.Session, d); err != nil {
						r.broken(f.t, "Remember: %v", err)
					}
				})
			}
			interludes.Store(name, decide)
			line := tab.want(r, a, "v", "/read", "k", "k").header.Get("Set-Cookie")
			if _, ok := interludes.LoadAndDelete(name); ok {
				decide() // Nothing was decoded.
			} else if strings.Contains(line, "Max-Age=7200") {
				r.broken(f.t, "the request that was overtaken sends the cookie that there was before: %q", hide(line))
			}
			if errs := a.errs.all(); len(errs) > 0 {
				r.broken(f.t, "ErrorFunc was called, and there was nothing wrong: %v", errs)
			}
			f.clock.advance(c.idle)
			if alive := v.get(b, "/read", "k", "k").body == "v"; alive != c.alive {
				r.broken(f.t, "a lifetime of %v was set while another request slid the expiry; idle for %v: alive %v, want %v", d, c.idle, alive, c.alive)
			}
		}
	}
}

// stays has visitors come every day for 100 days, and lets their browsers drop the
// cookie when its Max-Age is over. They must stay, and be sent it no more often than
// needed.
func stays(r rule, f *fleet) {
	const day, age = 24 * time.Hour, 30 * 24 * time.Hour
	remembers := f.start(nil)
	maxAge := f.start(func(o *session.Options) { o.Cookie.MaxAge = int(age / time.Second) })
	visits := map[string]func(c call, n int){
		"a change every day": func(c call, n int) { c.Set("n", n) },
		"reads only":         func(call, int) {},
		"a flash every day":  func(c call, n int) { c.SetFlash(n) },
	}
	for name, visit := range visits {
		for _, s := range []*server{remembers, maxAge} {
			v := newVisitor(f.t)
			sent, n := f.clock.now(), 0
			first := v.do(f, s, func(c call) {
				c.Set("k", "v")
				if s == remembers {
					_ = session.Remember(c.Session, age)
				} else {
					_ = session.SetLifetime(c.Session, age)
				}
			})
			if !strings.Contains(first.header.Get("Set-Cookie"), "Max-Age=2592000") {
				r.broken(f.t, "the first cookie is not persistent: %q", hide(first.header.Get("Set-Cookie")))
			}
			for d := range 100 {
				f.clock.advance(day)
				since := f.clock.now().Sub(sent)
				if since > age {
					r.broken(f.t, "%s: on day %d the browser has dropped the cookie, which is %v old", name, d+1, since)
					return
				}
				alive := false
				a := v.do(f, s, func(c call) { alive = c.Get("k") == "v"; visit(c, d) })
				if !alive {
					r.broken(f.t, "%s: signed out on day %d", name, d+1)
					return
				}
				told := a.header.Get("Set-Cookie") != ""
				if due := since >= age/20; told != due && !f.suite.ClientSide { // There every change is sent.
					r.broken(f.t, "%s: on day %d the cookie is %v old, sent again: %v", name, d+1, since, told)
				}
				if told {
					sent, n = f.clock.now(), n+1
				}
			}
			if n == 0 {
				r.broken(f.t, "%s: the cookie was never sent again", name)
			}
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
