package drivertest

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/flamego/session"
)

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
	takesOwn(r, f, v, a, b)

	// An ended session hands out nothing.
	tab := v.twin(a)
	v.do(f, a, func(c call) {
		tab.ok(r, b, "/destroy")
		if got, ok, err := session.Take[string](context.Background(), c.Session, "first"); ok || !errors.Is(err, session.ErrEnded) {
			r.broken(f.t, "Take from a session that has ended: %q, %v", got, err)
		}
	})
}

// takesOwn has one request take what is not there, and what it has changed itself.
func takesOwn(r rule, f *fleet, v *visitor, a, b *server) {
	f.t.Helper()
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
