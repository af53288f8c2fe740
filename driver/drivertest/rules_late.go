package drivertest

import (
	"context"
	"net/http"
	"strings"

	"github.com/flamego/session"
)

// longRequest works longer than the session's lifetime, while other requests keep
// the session alive.
func longRequest(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "k", "v", "before")
	slow := v.hold(f, a, "/set", "k", "k", "v", "after")
	for range 3 {
		f.clock.advance(lifetime - step)
		v.want(r, b, "before", "/read", "k", "k")
	}
	if res := slow.finish(f.t); res.status != http.StatusOK {
		r.broken(f.t, "a request longer than the lifetime: status %d", res.status)
	}
	v.want(r, b, "after", "/read", "k", "k")
}

// failedAfterCommit rotates, stores that, and then cannot store the rest: the
// old ID is dead by then.
func failedAfterCommit(r rule, f *fleet) {
	if f.suite.inProcess {
		f.t.Skip("nothing that is set can fail to be stored here")
	}
	a, b := f.start(nil), f.start(nil)
	for _, writes := range []bool{false, true} {
		v := newVisitor(f.t)
		v.ok(r, a, "/set", "k", "k", "v", "kept")
		old := v.id(a)
		res := v.do(f, a, func(c call) {
			_ = c.RegenerateID(c.ctx.ResponseWriter(), c.ctx.Request().Request)
			if err := session.Commit(context.Background(), c.Session); err != nil {
				r.broken(f.t, "Commit: %v", err)
			}
			c.Set("bad", func() {})
			c.ctx.ResponseWriter().Header().Set("Location", "/secret")
			if writes {
				_, _ = c.ctx.ResponseWriter().Write([]byte("secret"))
			}
		})
		if res.status != http.StatusInternalServerError || res.header.Get("Location") != "" || strings.Contains(res.body, "secret") {
			r.broken(f.t, "a value that can't be stored: status %d, want 500 and nothing of the handler's", res.status)
		}
		if v.id(a) == old {
			r.broken(f.t, "the failure did not tell the client the ID that Commit has stored")
		}
		v.want(r, b, "kept", "/read", "k", "k")
	}
}

// reminded moves the session while a request is under way whose response was to
// refresh its persistent cookie.
func reminded(r rule, f *fleet) {
	persistent := func(o *session.Options) { o.Cookie.MaxAge = 7200 }
	a, b := f.start(persistent), f.start(persistent)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "k", "v", "v")
	f.clock.advance(lifetime / 2)
	twin := v.twin(a)
	slow := twin.hold(f, a, "/set", "k", "k", "v", "late")
	v.ok(r, b, "/rotate")
	if res := slow.finish(f.t); res.cookie() != "" {
		r.broken(f.t, "the response of a request that was overtaken sends a cookie: it would take the new one's place")
	}
	v.want(r, a, "v", "/read", "k", "k")
}

// expiredInStore uses the Store on a record that has expired and was not swept.
func expiredInStore(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	ctx := context.Background()
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "k", "v", "old")
	id := v.id(a)
	f.clock.advance(2 * lifetime)
	if err := b.m.Store().Touch(ctx, id); err != nil {
		r.broken(f.t, "Touch of an expired session: %v", err)
	}
	if b.m.Store().Exist(ctx, id) {
		r.broken(f.t, "Touch brought an expired session back")
	}
	s, err := b.m.Store().Read(ctx, id)
	if err != nil {
		f.t.Fatalf("Read of an expired session: %v", err)
	}
	s.Set("j", "new")
	if err := b.m.Store().Save(ctx, s); err != nil {
		r.broken(f.t, "an expired session still holds its ID: %v", err)
	}
	late := stranger(f.t, a, id)
	late.want(r, a, "new", "/read", "k", "j")
	late.want(r, a, "nothing", "/read", "k", "k")
}
