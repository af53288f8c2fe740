package drivertest

import (
	"context"
	"errors"
	"net/http"

	"github.com/flamego/session"
)

func endOne(r rule, f *fleet) {
	servers := f.pool()
	a, b, ctx := servers[0], servers[1], context.Background()
	one, two := newVisitor(f.t).signsIn(r, a, "ann"), newVisitor(f.t).signsIn(r, b, "ann")
	bob := newVisitor(f.t).signsIn(r, a, "bob")
	for _, c := range []struct{ owner, handle string }{
		{"ann", ""}, {"ann", "nobody"}, {"ann", bob.handle}, {"bob", one.handle}, {"eve", one.handle}, {"", one.handle}, {"ann", one.id(a)},
	} {
		if err := b.m.End(ctx, c.owner, c.handle); !errors.Is(err, session.ErrNotFound) {
			r.broken(f.t, "End of a session that is not the owner's: %v, want ErrNotFound", err)
		}
	}
	f.lists(r, servers, "ann", one, two)
	f.done(r, b.m.End(ctx, "ann", one.handle), "End")
	one.lives(r, servers, "")
	two.lives(r, servers, "ann")
	bob.lives(r, servers, "bob")
	f.lists(r, servers, "ann", two)
	if err := a.m.End(ctx, "ann", one.handle); !errors.Is(err, session.ErrNotFound) {
		r.broken(f.t, "End of a session that has ended: %v, want ErrNotFound", err)
	}
	// The visitor can start again.
	old := one.id(a)
	one = one.signsIn(r, b, "ann")
	if one.id(a) == old {
		r.broken(f.t, "the ID of a session that was ended is good again")
	}
	one.lives(r, servers, "ann")
	f.lists(r, servers, "ann", two, one)
}

func endAll(r rule, f *fleet) {
	servers := f.pool()
	a, b, ctx := servers[0], servers[1], context.Background()
	f.done(r, a.m.EndAll(ctx, "ann"), "EndAll of nothing")
	var ann []member
	for i := range 4 {
		ann = append(ann, newVisitor(f.t).signsIn(r, servers[i%2], "ann"))
	}
	bob := newVisitor(f.t).signsIn(r, a, "bob")
	// As after a change of password, in a request of the one that stays.
	res := ann[1].do(f, b, func(c call) {
		f.done(r, b.m.EndAll(ctx, "ann", "nobody", session.Handle(c.Session)), "EndAll")
		c.Set("password", "new")
	})
	if res.status != http.StatusOK {
		r.broken(f.t, "the request that ended the others: status %d", res.status)
	}
	for i, m := range ann {
		m.lives(r, servers, map[bool]string{true: "ann"}[i == 1])
	}
	ann[1].want(r, a, "new", "/read", "k", "password")
	f.lists(r, servers, "ann", ann[1])
	f.done(r, a.m.EndAll(ctx, "ann"), "EndAll")
	ann[1].lives(r, servers, "")
	f.lists(r, servers, "ann")
	bob.lives(r, servers, "bob")
	f.lists(r, servers, "bob", bob)
}

func ownerEndedStoresNothing(r rule, f *fleet) {
	servers := f.pool()
	a, b, ctx := servers[0], servers[1], context.Background()
	ends := map[string]func(member) error{
		"End":    func(m member) error { return b.m.End(ctx, "ann", m.handle) },
		"EndAll": func(member) error { return b.m.EndAll(ctx, "ann") },
	}
	for name, end := range ends {
		for _, page := range []string{"/set", "/add", "/rotate"} {
			m := newVisitor(f.t).signsIn(r, a, "ann")
			old := m.id(a)
			slow := m.hold(f, a, page, "k", "n", "v", "1")
			f.done(r, end(m), name)
			if res := slow.finish(f.t); res.status != http.StatusOK || res.cookie() != "" {
				r.broken(f.t, "%s, then %s of a request under way: status %d, a cookie %v", name, page, res.status, res.cookie() != "")
			}
			stranger(f.t, b, old).lives(r, servers, "")
			f.lists(r, servers, "ann")
			// Nor is it on the list any more, where it would take the room of a live one.
			if err := a.m.End(ctx, "ann", m.handle); !errors.Is(err, session.ErrNotFound) {
				r.broken(f.t, "%s, then %s of a request under way, then End: %v, want ErrNotFound", name, page, err)
			}
		}
		m := newVisitor(f.t).signsIn(r, a, "ann")
		var err error
		fn := f.fn(a, func(c call) {
			c.Set("n", "1")
			err = session.Commit(ctx, c.Session)
			c.Set("n", "2")
		})
		slow := m.hold(f, a, "/do", "fn", fn)
		f.done(r, end(m), name)
		slow.finish(f.t)
		if !errors.Is(err, session.ErrEnded) {
			r.broken(f.t, "%s, then Commit of a request under way: %v, want ErrEnded", name, err)
		}
		m.want(r, a, "nothing", "/read", "k", "n")
		m.lives(r, servers, "")
	}
}

func ownerRotates(r rule, f *fleet) {
	servers := f.pool()
	a, b, ctx := servers[0], servers[1], context.Background()
	m, other := newVisitor(f.t).signsIn(r, a, "ann", "label", "phone"), newVisitor(f.t).signsIn(r, a, "ann")
	first := m.id(a)
	for i := range 5 {
		m.ok(r, servers[i%2], "/rotate")
		m.want(r, servers[(i+1)%2], m.handle, "/handle")
		if list := f.lists(r, servers, "ann", m, other); list[0].Label != "phone" {
			r.broken(f.t, "the label is %q after a rotation", list[0].Label)
		}
	}
	if m.id(a) == first {
		f.t.Fatal("the ID did not change")
	}
	f.done(r, b.m.End(ctx, "ann", m.handle), "End after rotations")
	m.lives(r, servers, "")
	other.lives(r, servers, "ann")
	f.lists(r, servers, "ann", other)
}

func rotationMeetsEndAll(r rule, f *fleet) {
	servers := f.pool()
	a, b, ctx := servers[0], servers[1], context.Background()
	for range 3 {
		m := newVisitor(f.t).signsIn(r, a, "ann")
		old := m.twin(a)
		var next string
		f.whileStored(m.visitor, a, func(c call) {
			_ = c.RegenerateID(c.ctx.ResponseWriter(), c.ctx.Request().Request)
			next = c.ID()
		}, func() { f.done(r, b.m.EndAll(ctx, "ann"), "EndAll") })
		m.lives(r, servers, "")
		old.lives(r, servers, "")
		stranger(f.t, a, next).lives(r, servers, "")
		f.lists(r, servers, "ann")

		// The other way about: the rotation is done when the slow one ends all.
		m = newVisitor(f.t).signsIn(r, a, "ann")
		tab := m.twin(a)
		slow := tab.hold(f, b, "/endall", "owner", "ann")
		m.ok(r, a, "/rotate")
		slow.finish(f.t)
		m.lives(r, servers, "")
		f.lists(r, servers, "ann")
	}
}
