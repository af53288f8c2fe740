package drivertest

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/flamego/session"
)

func count(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	ctx := context.Background()
	if _, err := a.m.Count(ctx); errors.Is(err, errors.ErrUnsupported) {
		f.t.Skip("not tested:", err)
	}
	// want looks from both servers. expired is how many are over by the clock of the
	// test alone.
	want := func(when string, live, expired int) {
		f.t.Helper()
		most := live
		if f.suite.OwnClock {
			most += expired
		}
		for _, s := range []*server{a, b} {
			if n, err := s.m.Count(ctx); err != nil || n < live || n > most {
				r.broken(f.t, "%s: Count says %d, %v; want %d, or up to %d with the expired ones", when, n, err, live, most)
			}
		}
	}
	want("an empty store", 0, 0)
	var visitors []*visitor
	for range 5 {
		v := newVisitor(f.t)
		v.ok(r, a, "/set", "k", "k", "v", "v")
		visitors = append(visitors, v)
	}
	newVisitor(f.t).ok(r, a, "/untouched")
	want("five sessions and a visitor without one", 5, 0)

	visitors[0].ok(r, b, "/logout")
	want("one of five signed out", 4, 0)
	visitors[1].ok(r, b, "/rotate")
	visitors[2].ok(r, a, "/set", "k", "k", "v", "w")
	want("one of four has another ID, one other data", 4, 1)

	// Two go on, two are left.
	f.clock.advance(lifetime / 2)
	for _, v := range visitors[1:3] {
		v.ok(r, a, "/read", "k", "k")
	}
	want("all four are idle for less than the lifetime", 4, 1)
	f.clock.advance(lifetime/2 + lifetime/20 + step)
	want("two of four have expired, and are not swept", 2, 3)
	if err := b.m.Store().GC(ctx); err != nil {
		r.broken(f.t, "GC: %v", err)
	}
	want("two have been swept", 2, 3)

	if !f.suite.ForeignStore && !f.suite.ClientSide {
		countOwned(f, a, want)
	}
	ended, cancel := context.WithTimeout(ctx, -time.Second)
	defer cancel()
	if n, err := a.m.Count(ended); err == nil {
		r.broken(f.t, "a context that has ended: Count says %d, without an error", n)
	}
}

// countOwned has visitors sign in and out on two Managers. What the library keeps for that is
// nobody: lists, and where sessions went that have new IDs.
func countOwned(f *fleet, a *server, want func(when string, live, expired int)) {
	managers := []*server{a}
	if !f.suite.inProcess { // A Store in memory is one Manager's.
		managers = append(managers, f.start(func(o *session.Options) { o.Cookie.Name = "other_session" }))
	}
	n := len(managers)
	const gone = 3 // They have expired by the clock of the test alone.
	var visitors []*visitor
	for i := range 10 {
		v := newVisitor(f.t)
		for _, s := range managers {
			v.ok(rule{}, s, "/set", "k", "k", "v", "v")
			v.ok(rule{}, s, "/own", "owner", strconv.Itoa(i))
		}
		visitors = append(visitors, v)
	}
	want("two of four who went on, and ten who have signed in", 2+10*n, gone)
	for _, v := range visitors[:9] {
		for _, s := range managers {
			v.ok(rule{}, s, "/destroy")
		}
	}
	want("nine of ten have signed out", 2+n, gone)
	f.clock.advance(6 * time.Minute)
	for _, s := range managers {
		if err := s.m.EndAll(context.Background(), "9"); err != nil {
			f.t.Errorf("EndAll: %v", err)
		}
	}
	want("those of the tenth have been ended", 2, gone)
}
