package drivertest

import (
	"context"
	"net/http"
	"slices"

	"github.com/flamego/session"
)

func mostPerOwner(r rule, f *fleet) {
	most := func(o *session.Options) { o.MaxPerOwner = 2 }
	servers := []*server{f.start(most), f.start(most)}
	a, b, ctx := servers[0], servers[1], context.Background()
	var ann []member
	for i := range 4 {
		ann = append(ann, newVisitor(f.t).signsIn(r, servers[i%2], "ann"))
		f.lists(r, servers, "ann", ann[max(0, i-1):]...)
	}
	bob := newVisitor(f.t).signsIn(r, a, "bob")
	for i, m := range ann {
		m.lives(r, servers, map[bool]string{true: "ann"}[i >= 2])
	}
	// Neither a rotation nor the same owner again is one more.
	ann[2].ok(r, b, "/rotate")
	ann[2].signsIn(r, a, "ann")
	f.lists(r, servers, "ann", ann[2:]...)
	// What has ended, or expired, leaves room.
	f.done(r, a.m.End(ctx, "ann", ann[3].handle), "End")
	next := newVisitor(f.t).signsIn(r, b, "ann")
	f.lists(r, servers, "ann", ann[2], next)
	f.clock.advance(lifetime - step)
	next.ok(r, a, "/untouched")
	f.clock.advance(lifetime / 2)
	last := newVisitor(f.t).signsIn(r, b, "ann")
	f.lists(r, servers, "ann", next, last)
	next.lives(r, servers, "ann")
	bob.lives(r, servers, "")
}

func refusedBeyond(r rule, f *fleet) {
	refuse := func(o *session.Options) { o.MaxPerOwner, o.RefuseOverMax = 2, true }
	servers := []*server{f.start(refuse), f.start(refuse)}
	a, b, ctx := servers[0], servers[1], context.Background()
	one, two := newVisitor(f.t).signsIn(r, a, "ann"), newVisitor(f.t).signsIn(r, b, "ann")
	for _, visited := range []bool{false, true} {
		v := newVisitor(f.t)
		if visited {
			v.ok(r, a, "/set", "k", "cart", "v", "1")
		}
		before := v.id(a)
		if res := v.get(b, "/own", "owner", "ann", "commit", "1"); res.status != http.StatusConflict || res.cookie() != "" {
			r.broken(f.t, "a sign-in that is refused: status %d, want what the handler says after ErrTooMany, and no cookie", res.status)
		}
		if res := v.get(b, "/own", "owner", "ann"); res.status != http.StatusInternalServerError || res.cookie() != "" {
			r.broken(f.t, "a sign-in that is refused, without a Commit: status %d, want 500, and no cookie", res.status)
		}
		v.lives(r, servers, "")
		if visited {
			v.want(r, a, "1", "/read", "k", "cart")
		}
		if v.id(a) != before {
			r.broken(f.t, "a sign-in that is refused changed the ID")
		}
	}
	f.lists(r, servers, "ann", one, two)
	one.lives(r, servers, "ann")
	two.lives(r, servers, "ann")
	f.done(r, a.m.End(ctx, "ann", one.handle), "End")
	three := newVisitor(f.t).signsIn(r, b, "ann")
	f.lists(r, servers, "ann", two, three)
}

// mostOfMany has sign-ins come together.
func mostOfMany(r rule, f *fleet) {
	const most, each = 3, 5
	for _, refuse := range []bool{false, true} {
		var servers []*server
		for range 3 {
			servers = append(servers, f.start(func(o *session.Options) { o.MaxPerOwner, o.RefuseOverMax = most, refuse }))
		}
		for range 3 {
			owner := f.name()
			visitors := make([]*visitor, each*len(servers))
			answers := make([]answer, len(visitors))
			together(len(visitors), func(i int) {
				visitors[i] = newVisitor(f.t)
				answers[i] = visitors[i].get(servers[i%len(servers)], "/own", "owner", owner, "commit", "1")
			})
			var live []string
			for i, v := range visitors {
				res, is := answers[i], v.get(servers[0], "/read", "k", "user").body == owner
				switch {
				case is:
					live = append(live, res.body)
				case refuse && res.status == http.StatusOK:
					r.broken(f.t, "a sign-in was acknowledged, and has ended")
				}
				if res.status != http.StatusOK && (!refuse || res.status != http.StatusConflict) {
					r.broken(f.t, "a sign-in among many: status %d, %s, %v", res.status, res.body, servers[i%len(servers)].errs.all())
				}
			}
			if len(live) > most || len(live) == 0 {
				r.broken(f.t, "refused beyond the maximum %v: of %d sign-ins %d live, with a maximum of %d", refuse, len(visitors), len(live), most)
			}
			for _, s := range servers {
				list, err := s.m.Sessions(context.Background(), owner)
				f.done(r, err, "Sessions")
				if len(list) != len(live) || slices.ContainsFunc(list, func(i session.Info) bool { return !slices.Contains(live, i.Handle) }) {
					r.broken(f.t, "%d sessions live, and %d are listed, or others", len(live), len(list))
				}
			}
		}
	}
}
