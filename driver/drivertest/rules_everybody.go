package drivertest

import (
	"context"
	"errors"

	"github.com/flamego/session"
)

// endEverybody ends all sessions of an application, and none of another one.
func endEverybody(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	servers, ctx := []*server{a, b}, context.Background()
	if err := a.m.EndEverybody(ctx); errors.Is(err, errors.ErrUnsupported) {
		f.t.Skip("not tested:", err)
	}
	if !f.suite.inProcess { // A memory belongs to one Manager.
		other := f.start(func(o *session.Options) { o.Cookie.Name = "other_session" })
		ann, guest := newVisitor(f.t), newVisitor(f.t)
		ann.ok(r, other, "/own", "owner", "ann")
		guest.ok(r, other, "/set", "k", "user", "v", "guest")
		defer func() {
			ann.lives(r, []*server{other}, "ann")
			guest.lives(r, []*server{other}, "guest")
		}()
	}
	for _, meets := range []bool{false, true} {
		const owned, more = 12, 60 // More than are ended at a time.
		visitors := make([]*visitor, owned+more)
		together(len(visitors), func(i int) {
			v := newVisitor(f.t)
			if visitors[i] = v; i < owned {
				v.ok(r, servers[i%2], "/own", "owner", []string{"ann", "bob", "eve"}[i%3])
			} else {
				v.ok(r, servers[i%2], "/set", "k", "user", "v", "nobody")
			}
		})
		slow := visitors[0].hold(f, a, "/set", "k", "late", "v", "x")
		together(len(visitors)+1, func(i int) {
			switch {
			case i == len(visitors):
				f.done(r, b.m.EndEverybody(ctx), "EndEverybody")
			case meets:
				visitors[i].ok(r, servers[i%2], "/rotate")
			}
		})
		slow.finish(f.t)
		for i, v := range visitors {
			v.want(r, servers[i%2], "nothing", "/read", "k", "user")
		}
		for _, owner := range []string{"ann", "bob", "eve"} {
			f.lists(r, servers, owner)
		}
	}
	newVisitor(f.t).signsIn(r, a, "ann").lives(r, servers, "ann")

	signInMeetsEndEverybody(r, f, servers)

	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := a.m.EndEverybody(cancelled); !errors.Is(err, context.Canceled) {
		r.broken(f.t, "EndEverybody whose context has ended: %v", err)
	}
}

// signInMeetsEndEverybody has a sign-in begin before all are ended: it meets EndEverybody as it
// meets EndAll.
func signInMeetsEndEverybody(r rule, f *fleet, servers []*server) {
	late := newVisitor(f.t)
	late.do(f, servers[0], func(c call) {
		c.Set("user", "ann")
		err := session.SetOwner(c.Session, "ann")
		f.done(r, err, "SetOwner")
		f.done(r, servers[1].m.EndEverybody(context.Background()), "EndEverybody")
	})
	late.lives(r, servers, "")
}
