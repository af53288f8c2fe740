package drivertest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flamego/session"
)

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
