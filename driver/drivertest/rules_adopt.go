package drivertest

import (
	"context"
	"net/http"
	"strings"

	"github.com/flamego/session"
)

// names is what an application knows of whose session it is.
func names(o *session.Options) {
	o.OwnerOf = func(s session.Session) string {
		owner, _ := session.Get[string](s, "user")
		if owner == "panics" {
			panic("as planned")
		}
		return owner
	}
}

// adopted has sessions from before there were owners.
func adopted(r rule, f *fleet) {
	before, a, b := f.start(nil), f.start(names), f.start(names)
	servers, ctx := []*server{a, b}, context.Background()
	old := func(owner string) *visitor {
		v := newVisitor(f.t)
		v.ok(r, before, "/set", "k", "user", "v", owner)
		return v
	}
	ann := old("ann")
	f.lists(r, servers, "ann")
	id := ann.id(a)
	m := member{ann, ann.ok(r, a, "/handle").body}
	if m.handle == "" || m.handle == id || ann.id(a) != id {
		r.broken(f.t, "a session that names its owner has no handle, or another ID")
	}
	f.lists(r, servers, "ann", m)
	ann.lives(r, servers, "ann")
	if again := ann.signsIn(r, b, "ann"); again.handle != m.handle || ann.id(a) != id {
		r.broken(f.t, "SetOwner with the owner that the session has named changed it")
	}

	// Many requests at once, some of which store something: all go on with the ID.
	bob := old("bob")
	together(16, func(i int) {
		for _, page := range []string{"/handle", "/add"} {
			if res := bob.ok(r, servers[i%2], page, "k", "n"); res.cookie() != "" {
				r.broken(f.t, "the session gets a new ID")
			}
		}
	})
	bob.want(r, a, "16", "/read", "k", "n")
	f.lists(r, servers, "bob", member{bob, bob.ok(r, b, "/handle").body})

	// A slow request of a session that was ended stores nothing.
	slow := bob.hold(f, a, "/set", "k", "late", "v", "x")
	f.done(r, b.m.EndAll(ctx, "bob"), "EndAll")
	slow.finish(f.t)
	bob.lives(r, servers, "")
	f.lists(r, servers, "bob")

	// Who signs in without SetOwner is listed as soon as that is stored.
	eve := newVisitor(f.t)
	eve.ok(r, a, "/set", "k", "user", "v", "eve")
	if list, err := b.m.Sessions(ctx, "eve"); err != nil || len(list) != 1 {
		r.broken(f.t, "a session that has just been stored is not listed: %v", err)
	}
	f.done(r, b.m.EndAll(ctx, "eve"), "EndAll")
	eve.lives(r, servers, "")

}

// namesNobody has sessions whose owner the function does not know, or fails to name.
func namesNobody(r rule, f *fleet) {
	a, b := f.start(names), f.start(names)
	servers := []*server{a, b}
	nobody := newVisitor(f.t)
	nobody.ok(r, a, "/add", "k", "n")
	if got := nobody.ok(r, a, "/handle").body; got != "" {
		r.broken(f.t, "a session that names nobody has the handle %s", got)
	}
	// What goes wrong in the function loses nothing, and is reported.
	odd := newVisitor(f.t)
	odd.ok(r, a, "/set", "k", "user", "v", "panics")
	odd.lives(r, servers, "panics")
	for _, s := range servers {
		for _, err := range s.errs.all() {
			if !strings.Contains(err.Error(), "Options.OwnerOf: panic: as planned") {
				r.broken(f.t, "ErrorFunc was called: %v", err)
			}
		}
	}
	if len(a.errs.all()) == 0 {
		r.broken(f.t, "OwnerOf panicked, and ErrorFunc has not heard of it")
	}
}

// adoptedMeetsEndAll has sessions put on the list while it is ended: what lives is listed.
func adoptedMeetsEndAll(r rule, f *fleet) {
	before, a, b := f.start(nil), f.start(names), f.start(names)
	servers, ctx := []*server{a, b}, context.Background()
	for range 20 {
		v := newVisitor(f.t)
		v.ok(r, before, "/set", "k", "user", "v", "ann")
		together(3, func(i int) {
			if i == 2 {
				f.done(r, b.m.EndAll(ctx, "ann"), "EndAll")
				return
			}
			v.ok(r, servers[i], "/add", "k", "n")
		})
		list, err := a.m.Sessions(ctx, "ann")
		f.done(r, err, "Sessions")
		if alive := v.get(b, "/read", "k", "user").body == "ann"; alive != (len(list) == 1) || len(list) > 1 {
			r.broken(f.t, "the session lives: %v, and %d are listed", alive, len(list))
		}
		f.done(r, a.m.EndAll(ctx, "ann"), "EndAll")
		v.lives(r, servers, "")
	}
}

// adoptedCount has an owner with more sessions from before than there may be.
func adoptedCount(r rule, f *fleet) {
	before := f.start(nil)
	for _, refuse := range []bool{false, true} {
		limited := f.start(func(o *session.Options) { names(o); o.MaxPerOwner, o.RefuseOverMax = 2, refuse })
		owner := map[bool]string{false: "ann", true: "bob"}[refuse]
		var old []*visitor
		for range 4 {
			v := newVisitor(f.t)
			v.ok(r, before, "/set", "k", "user", "v", owner)
			old = append(old, v)
		}
		for _, v := range old {
			if res := v.ok(r, limited, "/add", "k", "n"); res.status != http.StatusOK {
				r.broken(f.t, "status %d", res.status)
			}
		}
		for i, v := range old {
			want := "nothing"
			if i >= 2 {
				want = owner
			}
			v.want(r, limited, want, "/read", "k", "user")
		}
	}
}
