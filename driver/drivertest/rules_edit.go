package drivertest

import (
	"context"
	"errors"
	"net/http"
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
