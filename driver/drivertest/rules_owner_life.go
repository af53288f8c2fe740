package drivertest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/flamego/session"
)

func ownerExpires(r rule, f *fleet) {
	servers := f.pool()
	a := servers[0]
	idle, busy := newVisitor(f.t).signsIn(r, a, "ann"), newVisitor(f.t).signsIn(r, a, "ann")
	for range 3 {
		f.lists(r, servers, "ann", idle, busy)
		f.clock.advance(lifetime/2 - step)
		busy.ok(r, servers[1], "/untouched")
		if f.clock.advance(step); idle.handle == "" {
			break
		}
	}
	f.lists(r, servers, "ann", busy)
	if err := a.m.End(context.Background(), "ann", idle.handle); err != nil && !errors.Is(err, session.ErrNotFound) {
		r.broken(f.t, "End of a session that has expired: %v", err)
	}
	again := newVisitor(f.t).signsIn(r, a, "ann")
	f.lists(r, servers, "ann", busy, again)
	f.clock.advance(2 * lifetime)
	f.lists(r, servers, "ann")
	f.done(r, a.m.EndAll(context.Background(), "ann"), "EndAll of what has expired")
	if err := a.m.Store().GC(context.Background()); err != nil {
		r.broken(f.t, "GC: %v", err)
	}
	last := newVisitor(f.t).signsIn(r, servers[1], "ann")
	f.lists(r, servers, "ann", last)
}

func leavesTheList(r rule, f *fleet) {
	servers := f.pool()
	a, b, ctx := servers[0], servers[1], context.Background()
	stays := newVisitor(f.t).signsIn(r, a, "ann")
	leave := func(how string, to string, fn func(c call)) {
		m := newVisitor(f.t).signsIn(r, a, "ann")
		f.lists(r, servers, "ann", stays, m)
		old := m.id(a)
		now := ""
		res := m.do(f, b, func(c call) {
			fn(c)
			if got := session.Owner(c.Session); got != to {
				r.broken(f.t, "%s: the owner is %q, want %q", how, got, to)
			}
			now = session.Handle(c.Session)
		})
		if res.status != http.StatusOK {
			r.broken(f.t, "%s: status %d", how, res.status)
		}
		f.lists(r, servers, "ann", stays)
		if err := a.m.End(ctx, "ann", m.handle); !errors.Is(err, session.ErrNotFound) {
			r.broken(f.t, "%s: End by the former handle: %v, want ErrNotFound", how, err)
		}
		f.done(r, b.m.EndAll(ctx, "ann", stays.handle), "EndAll of the former owner")
		if to == "" {
			return
		}
		if m.id(a) == old || now == m.handle || now == "" {
			r.broken(f.t, "%s: the ID changed %v, the handle changed %v", how, m.id(a) != old, now != m.handle)
		}
		stranger(f.t, a, old).lives(r, servers, "")
		f.lists(r, servers, to, member{m.visitor, now})
		f.done(r, a.m.EndAll(ctx, to), "EndAll")
		m.lives(r, servers, "")
	}
	kept := func(c call) { c.Set("kept", "1") }
	leave("Flush", "", func(c call) { c.Flush(); kept(c) })
	leave("SetOwner of nobody", "", func(c call) { f.done(r, session.SetOwner(c.Session, ""), "SetOwner"); kept(c) })
	leave("Destroy", "", func(c call) { session.Destroy(c.Session) })
	leave("Destroy and Set", "", destroyAndSet)
	leave("Store.Destroy", "", func(c call) { f.done(r, c.store.Destroy(ctx, c.ID()), "Destroy") })
	leave("another owner", "bob", func(c call) { f.done(r, session.SetOwner(c.Session, "bob"), "SetOwner"); c.Set("user", "bob") })
	leave("Flush, and another owner", "bob", func(c call) {
		c.Flush()
		f.done(r, session.SetOwner(c.Session, "bob"), "SetOwner")
		c.Set("user", "bob")
	})
	stays.lives(r, servers, "ann")
	// What was flushed, or is nobody's, goes on.
	m := newVisitor(f.t).signsIn(r, a, "ann")
	m.do(f, b, func(c call) { c.Flush(); kept(c) })
	m.want(r, a, "1", "/read", "k", "kept")
	m.want(r, a, "", "/handle")
	f.done(r, a.m.EndAll(ctx, "ann"), "EndAll")
	m.want(r, b, "1", "/read", "k", "kept")
	stays.lives(r, servers, "")
}

// usedForWeeks has sessions outlive their list's first expiry, which is a week after
// theirs. Some requests write, and some only slide the expiry.
func usedForWeeks(r rule, f *fleet) {
	servers := f.pool()
	a, b, ctx := servers[0], servers[1], context.Background()
	longer := f.fn(a, func(c call) { f.done(r, session.SetLifetime(c.Session, 6*lifetime), "SetLifetime") })
	sign := func() member {
		m := newVisitor(f.t).signsIn(r, a, "ann")
		m.ok(r, a, "/do", "fn", longer)
		return m
	}
	reads, writes := sign(), sign()
	for range 21 * 4 {
		f.clock.advance(6*lifetime - step)
		reads.want(r, b, "ann", "/read", "k", "user")
		writes.ok(r, a, "/add", "k", "n")
		if n, err := b.m.Sessions(ctx, "ann"); err != nil || len(n) != 2 {
			r.broken(f.t, "%d sessions are listed, %v: want both", len(n), err)
			return
		}
		if err := a.m.Store().GC(ctx); err != nil {
			r.broken(f.t, "GC: %v", err)
		}
	}
	f.lists(r, servers, "ann", reads, writes)
	f.done(r, a.m.End(ctx, "ann", reads.handle), "End")
	reads.lives(r, servers, "")
	f.done(r, b.m.EndAll(ctx, "ann"), "EndAll")
	writes.lives(r, servers, "")
}

// lifetimeAfterSignIn makes sessions last longer than the list was to last.
func lifetimeAfterSignIn(r rule, f *fleet) {
	servers := f.pool()
	a, b, ctx := servers[0], servers[1], context.Background()
	const month = 30 * 24 * time.Hour
	var all []member
	for _, same := range []bool{false, true} {
		for _, longer := range []func(call){
			func(c call) { f.done(r, session.SetLifetime(c.Session, month), "SetLifetime") },
			func(c call) { f.done(r, session.Remember(c.Session, month), "Remember") },
		} {
			v := newVisitor(f.t)
			var handle string
			v.do(f, a, func(c call) {
				f.done(r, session.SetOwner(c.Session, "ann"), "SetOwner")
				c.Set("user", "ann")
				if same {
					longer(c)
				}
				handle = session.Handle(c.Session)
			})
			if !same {
				v.do(f, b, longer)
			}
			all = append(all, member{v, handle})
		}
	}
	f.clock.advance(month - time.Hour)
	if err := a.m.Store().GC(ctx); err != nil {
		r.broken(f.t, "GC: %v", err)
	}
	f.lists(r, servers, "ann", all...)
	for _, m := range all {
		m.lives(r, servers, "ann")
	}
	f.done(r, b.m.EndAll(ctx, "ann"), "EndAll")
	for _, m := range all {
		m.lives(r, servers, "")
	}
}
