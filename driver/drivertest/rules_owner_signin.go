package drivertest

import (
	"context"
	"encoding/gob"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/flamego/session"
)

// storing is a value that has something happen in the middle of a commit: after the
// session was put on its owner's list, before it is stored. Encoding it runs the
// function that the test has left under the name, once. In a store that encodes nothing
// it does nothing.
type storing struct{ Name string }

var whileStoring sync.Map

func init() { gob.Register(storing{}) }

func (s storing) GobEncode() ([]byte, error) {
	if fn, ok := whileStoring.LoadAndDelete(s.Name); ok {
		fn.(func())()
	}
	return []byte(s.Name), nil
}

func (s *storing) GobDecode(b []byte) error {
	s.Name = string(b)
	return nil
}

// whileStored has do happen while the request stores what change has changed. If the
// store encodes nothing, it happens before the request.
func (f *fleet) whileStored(v *visitor, s *server, change func(call), do func()) answer {
	name := f.name() + f.t.Name()
	if f.suite.inProcess {
		do()
	} else {
		whileStoring.Store(name, do)
		defer func() {
			if _, left := whileStoring.Load(name); left {
				f.t.Error("nothing was encoded: the test tests nothing")
			}
		}()
	}
	return v.do(f, s, func(c call) {
		change(c)
		c.Set("storing", storing{name})
	})
}

func signInMeetsEndAll(r rule, f *fleet) {
	servers := f.pool()
	a, b, ctx := servers[0], servers[1], context.Background()
	for _, visited := range []bool{false, true} {
		v := newVisitor(f.t)
		if visited {
			v.ok(r, a, "/set", "k", "cart", "v", "1")
		}
		other := newVisitor(f.t).signsIn(r, b, "ann")
		res := f.whileStored(v, a, func(c call) {
			f.done(r, session.SetOwner(c.Session, "ann"), "SetOwner")
			c.Set("user", "ann")
		}, func() { f.done(r, b.m.EndAll(ctx, "ann"), "EndAll") })
		if res.status != http.StatusOK {
			r.broken(f.t, "a sign-in that was ended: status %d", res.status)
		}
		other.lives(r, servers, "")
		if !f.suite.inProcess {
			v.lives(r, servers, "")
			f.lists(r, servers, "ann")
		}
		if visited && !f.suite.inProcess {
			v.want(r, b, "1", "/read", "k", "cart")
		}
		m := newVisitor(f.t).signsIn(r, a, "ann") // Only now has it begun.
		m.lives(r, servers, "ann")
		f.done(r, b.m.EndAll(ctx, "ann"), "EndAll")
	}
	// A sign-in whose handler has begun, but has stored nothing yet, comes afterwards.
	v := newVisitor(f.t)
	slow := v.hold(f, a, "/own", "owner", "ann")
	f.done(r, b.m.EndAll(ctx, "ann"), "EndAll")
	m := member{v, slow.finish(f.t).body}
	m.lives(r, servers, "ann")
	f.lists(r, servers, "ann", m)
}

// signInBeforeEndAll ends all after SetOwner, before anything of the sign-in is stored.
func signInBeforeEndAll(r rule, f *fleet) {
	servers := f.pool()
	a, b := servers[0], servers[1]
	for _, visited := range []bool{false, true} {
		for _, listed := range []bool{false, true} {
			endsBefore(r, f, servers, visited, func(then func(c call)) *visitor {
				v := newVisitor(f.t)
				if visited {
					v.ok(r, a, "/set", "k", "cart", "v", "1")
				}
				if listed {
					newVisitor(f.t).signsIn(r, b, "ann")
				}
				res := v.do(f, a, func(c call) {
					f.done(r, session.SetOwner(c.Session, "ann"), "SetOwner")
					c.Set("user", "ann")
					then(c)
				})
				if res.status != http.StatusOK {
					r.broken(f.t, "a sign-in: status %d", res.status)
				}
				return v
			})
		}
	}
}

// endsBefore has sign-ins end all, each in its own way. begin starts one, and calls a
// function in its handler after SetOwner.
func endsBefore(r rule, f *fleet, servers []*server, visited bool, begin func(then func(c call)) *visitor) {
	f.t.Helper()
	a, b, ctx := servers[0], servers[1], context.Background()
	end := func(except ...string) { f.done(r, b.m.EndAll(ctx, "ann", except...), "EndAll") }
	refused := func(v *visitor) {
		f.t.Helper()
		v.lives(r, servers, "")
		f.lists(r, servers, "ann")
		if visited {
			v.want(r, b, "1", "/read", "k", "cart")
		}
	}
	refused(begin(func(call) { end() }))
	refused(begin(func(call) { end("nobody"); end() }))
	var err error
	refused(begin(func(c call) { end(); err = session.Commit(ctx, c.Session) }))
	if !errors.Is(err, session.ErrEnded) {
		r.broken(f.t, "SetOwner, then EndAll, then Commit: %v, want ErrEnded", err)
	}
	refused(begin(func(call) {
		end()
		f.clock.advance(lifetime - step)
		f.done(r, a.m.Store().GC(ctx), "GC")
	}))
	// It may go on to end all others, or to sign in once more.
	stands := func(v *visitor) {
		f.t.Helper()
		v.lives(r, servers, "ann")
		f.lists(r, servers, "ann", member{v, v.ok(r, b, "/handle").body})
		end()
		v.lives(r, servers, "")
	}
	stands(begin(func(c call) {
		for range 2 {
			f.done(r, a.m.EndAll(ctx, "ann", session.Handle(c.Session)), "EndAll")
		}
	}))
	stands(begin(func(c call) {
		end()
		_ = session.Commit(ctx, c.Session)
		f.done(r, session.SetOwner(c.Session, "ann"), "SetOwner")
		c.Set("user", "ann")
	}))
	// The end of a single session is none of all.
	v := begin(func(call) {
		other := newVisitor(f.t).signsIn(r, b, "ann")
		f.done(r, b.m.End(ctx, "ann", other.handle), "End")
	})
	v.lives(r, servers, "ann")
	end()
}

func setOwnerFails(r rule, f *fleet) {
	servers := f.pool()
	a, ctx := servers[0], context.Background()
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "user", "v", "nobody")
	id := v.id(a)
	v.do(f, a, func(c call) {
		_, _ = c.ctx.ResponseWriter().Write([]byte("started"))
		if err := session.SetOwner(c.Session, "ann"); err == nil || !strings.Contains(err.Error(), "started") {
			r.broken(f.t, "SetOwner after the first byte: %v", err)
		}
		if session.Owner(c.Session) != "" {
			r.broken(f.t, "SetOwner after the first byte has failed, and there is an owner")
		}
	})
	if v.id(a) != id {
		r.broken(f.t, "SetOwner after the first byte changed the ID")
	}
	s, err := a.m.Store().Read(ctx, id)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := session.SetOwner(s, "ann"); err == nil || !strings.Contains(err.Error(), "in a handler") {
		r.broken(f.t, "SetOwner outside of a request, on a session that is stored: %v", err)
	}
	v.lives(r, servers, "nobody")
	base := session.NewBaseSession("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", session.GobEncoder, func(http.ResponseWriter, *http.Request, string) {})
	if err := session.SetOwner(base, "ann"); !errors.Is(err, errors.ErrUnsupported) {
		r.broken(f.t, "SetOwner of a Session from outside the library: %v, want ErrUnsupported", err)
	}
	f.lists(r, servers, "ann")

	// A session that an application makes itself, say for a token, may have an owner.
	token := strings.Repeat("t", 32)
	if s, err = a.m.Store().Read(ctx, token); err != nil {
		f.t.Fatal(err)
	}
	f.done(r, session.SetOwner(s, "ann"), "SetOwner of a session that is not stored")
	s.Set("user", "ann")
	handle := session.Handle(s)
	f.done(r, a.m.Store().Save(ctx, s), "Save")
	stranger(f.t, a, token).lives(r, servers, "ann")
	f.lists(r, servers, "ann", member{handle: handle})
	f.done(r, servers[1].m.EndAll(ctx, "ann"), "EndAll")
	stranger(f.t, a, token).lives(r, servers, "")
}
