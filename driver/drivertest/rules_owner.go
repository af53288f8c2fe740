package drivertest

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/gob"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
	"github.com/flamego/session/driver"
)

// ownerRoutes are those of the application that are about owners.
func (p *probe) ownerRoutes(f *flamego.Flame, m *session.Manager) {
	f.Get("/own", func(c flamego.Context, s session.Session) (int, string) {
		p.hold(c)
		if err := session.SetOwner(s, c.Query("owner")); err != nil {
			return http.StatusBadRequest, err.Error()
		}
		session.SetLabel(s, c.Query("label"))
		s.Set("user", c.Query("owner"))
		if c.Query("commit") != "" {
			if err := session.Commit(context.Background(), s); errors.Is(err, session.ErrTooMany) {
				return http.StatusConflict, "too many"
			}
		}
		return http.StatusOK, session.Handle(s)
	})
	f.Get("/handle", session.Handle)
	f.Get("/sessions", func(c flamego.Context) (string, error) {
		list, err := m.Sessions(c.Request().Context(), c.Query("owner"))
		b, _ := json.Marshal(list)
		return string(b), err
	})
	f.Get("/endall", func(c flamego.Context) error {
		p.hold(c)
		return m.EndAll(c.Request().Context(), c.Query("owner"))
	})
}

// owning is a rule about owners. Where the Store cannot list sessions, it must say so.
func owning(test func(rule, *fleet)) func(rule, *fleet) {
	return func(r rule, f *fleet) {
		if f.suite.ForeignStore || f.suite.ClientSide {
			f.t.Log("this Store can't list sessions, which must be an error")
			cannotOwn(r, f)
			return
		}
		test(r, f)
	}
}

func cannotOwn(r rule, f *fleet) {
	a, ctx := f.start(nil), context.Background()
	clear := func(err error, call string) {
		f.t.Helper()
		switch {
		case err == nil:
			r.broken(f.t, "%s: no error, though this Store can't list sessions", call)
		case f.suite.ForeignStore && (!errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "session.NewStore")):
			r.broken(f.t, "%s: %v, want errors.ErrUnsupported and the remedy", call, err)
		case f.suite.ClientSide && !strings.Contains(err.Error(), "kept by their clients"):
			r.broken(f.t, "%s: %v, want the reason", call, err)
		}
	}
	v := newVisitor(f.t)
	res := v.do(f, a, func(c call) {
		c.Set("k", "v")
		clear(session.SetOwner(c.Session, "ann"), "SetOwner")
		if session.Owner(c.Session) != "" || session.Handle(c.Session) != "" {
			r.broken(f.t, "SetOwner has failed, and there is an owner")
		}
	})
	if res.status != http.StatusOK {
		r.broken(f.t, "a request whose SetOwner failed: status %d", res.status)
	}
	v.want(r, a, "v", "/read", "k", "k")
	_, err := a.m.Sessions(ctx, "ann")
	clear(err, "Sessions")
	clear(a.m.End(ctx, "ann", "handle"), "End")
	clear(a.m.EndAll(ctx, "ann"), "EndAll")
	opt := f.open()
	opt.MaxPerOwner = 1
	_, err = session.NewManager(opt)
	clear(err, "MaxPerOwner")
	opt.MaxPerOwner = 0
	names(&opt)
	_, err = session.NewManager(opt)
	clear(err, "OwnerOf")
}

// member is a visitor who has signed in.
type member struct {
	*visitor
	handle string
}

func (v *visitor) signsIn(r rule, s *server, owner string, args ...string) member {
	v.t.Helper()
	m := member{v, v.ok(r, s, "/own", append(args, "owner", owner)...).body}
	if m.handle == "" {
		r.broken(v.t, "a session with an owner has no handle")
	}
	return m
}

// lives checks on both servers whether the session is the owner's, or that of nobody.
func (v *visitor) lives(r rule, servers []*server, owner string) {
	v.t.Helper()
	if owner == "" {
		owner = "nothing"
	}
	for _, s := range servers {
		v.want(r, s, owner, "/read", "k", "user")
	}
}

// lists checks what all servers list, in the order of the sign-ins.
func (f *fleet) lists(r rule, servers []*server, owner string, want ...member) (list []session.Info) {
	f.t.Helper()
	for _, s := range servers {
		var err error
		list, err = s.m.Sessions(context.Background(), owner)
		if err != nil {
			r.broken(f.t, "Sessions: %v", err)
		}
		if !slices.EqualFunc(list, want, func(i session.Info, m member) bool { return i.Handle == m.handle }) {
			r.broken(f.t, "%d sessions of %s are listed, want %d: %v", len(list), owner, len(want), list)
			f.t.FailNow()
		}
	}
	return list
}

// done wants success.
func (f *fleet) done(r rule, err error, call string) {
	f.t.Helper()
	if err != nil {
		r.broken(f.t, "%s: %v", call, err)
	}
}

// exports looks at the contents of a listed session: all of them, and nothing else.
func exports(r rule, f *fleet, servers []*server, ann []member) {
	ann[0].do(f, servers[0], func(c call) { c.Set("cart", []string{"tea"}); session.AddFlash(c.Session, "hello") })
	if data, err := f.lists(r, servers, "ann", ann...)[0].Data(); err != nil || !reflect.DeepEqual(data, session.Data{
		"user": "ann", "cart": []string{"tea"}, "flamego::session::flash": []any{"hello"},
	}) {
		r.broken(f.t, "the session holds %v, %v", data, err)
	}
	if data, err := (session.Info{}).Data(); err != nil || len(data) != 0 {
		r.broken(f.t, "an Info of nothing holds %v, %v", data, err)
	}
}

func listing(r rule, f *fleet) {
	servers := f.pool()
	a, b := servers[0], servers[1]
	f.lists(r, servers, "ann")
	begin := f.clock.now().Add(-time.Second) // Storage systems may truncate.
	var ann []member
	labels := []string{"Firefox on Linux", "", "Safari <script>"}
	for i, label := range labels {
		ann = append(ann, newVisitor(f.t).signsIn(r, servers[i%2], "ann", "label", label))
	}
	bob := newVisitor(f.t).signsIn(r, a, "bob")
	newVisitor(f.t).ok(r, a, "/set", "k", "user", "v", "ann") // That is no sign-in.
	f.lists(r, servers, "bob", bob)
	f.lists(r, servers, "nobody")
	f.lists(r, servers, "")
	f.clock.advance(lifetime / 2)
	ann[0].ok(r, b, "/untouched")
	seen := f.clock.now()
	for i, info := range f.lists(r, servers, "ann", ann...) {
		if info.Label != labels[i] {
			r.broken(f.t, "the label is %q, want %q", info.Label, labels[i])
		}
		if info.Created.Before(begin) || info.Created.After(begin.Add(lifetime/4)) {
			r.broken(f.t, "Created is %v from the sign-in", info.Created.Sub(begin))
		}
		last := begin
		if i == 0 {
			last = seen
		}
		if d := info.LastSeen.Sub(last); d < -lifetime/20-step || d > lifetime/20 {
			r.broken(f.t, "LastSeen is %v from the last access", d)
		}
		if d := info.Expires.Sub(last); d < lifetime-step || d > lifetime+lifetime/20+step {
			r.broken(f.t, "Expires is %v after the last access, with a lifetime of %v", d, lifetime)
		}
		for j, m := range ann {
			if m.id(a) == info.Handle {
				r.broken(f.t, "a handle is the ID, which would go into a page")
			}
			res := m.do(f, servers[(i+j)%2], func(c call) {
				if info.Is(c.Session) != (i == j) {
					r.broken(f.t, "Is says that session %d is session %d", i, j)
				}
				if session.Owner(c.Session) != "ann" {
					r.broken(f.t, "the owner is %q", session.Owner(c.Session))
				}
			})
			if res.status != http.StatusOK {
				r.broken(f.t, "status %d", res.status)
			}
		}
		stranger(f.t, a, info.Handle).lives(r, servers, "")
	}
	newVisitor(f.t).do(f, a, func(c call) {
		if (session.Info{}).Is(c.Session) || session.Owner(c.Session) != "" || session.Handle(c.Session) != "" {
			r.broken(f.t, "a visitor's session has an owner")
		}
	})
	exports(r, f, servers, ann)
	// A new label is seen; the same owner again is no new sign-in.
	before := ann[1].id(a)
	if again := ann[1].signsIn(r, b, "ann", "label", "tablet"); again.handle != ann[1].handle || again.id(a) != before {
		r.broken(f.t, "SetOwner with the same owner changed the session")
	}
	if list := f.lists(r, servers, "ann", ann...); list[1].Label != "tablet" {
		r.broken(f.t, "the label is %q after it was changed", list[1].Label)
	}
}

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
	if f.suite.InProcess {
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
		if !f.suite.InProcess {
			v.lives(r, servers, "")
			f.lists(r, servers, "ann")
		}
		if visited && !f.suite.InProcess {
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
	a, b, ctx := servers[0], servers[1], context.Background()
	end := func(except ...string) { f.done(r, b.m.EndAll(ctx, "ann", except...), "EndAll") }
	for _, visited := range []bool{false, true} {
		for _, listed := range []bool{false, true} {
			begin := func(then func(c call)) *visitor {
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
			}
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

// listIsNoSession presents the ID of an owner's list, which anybody can work out.
func listIsNoSession(r rule, f *fleet) {
	servers := f.pool()
	a, b, ctx := servers[0], servers[1], context.Background()
	m := newVisitor(f.t).signsIn(r, a, "ann")
	place := "cookie " + a.name
	if f.suite.InProcess { // Its records do not say where they belong.
		place = ""
	}
	sum := sha256.Sum256([]byte("owner " + place + "\x00ann"))
	id := driver.OwnIDPrefix + strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
	st := a.m.Store()
	if _, err := st.Read(ctx, id); err == nil {
		r.broken(f.t, "Read of an owner's list is no error")
	}
	f.done(r, st.Touch(ctx, id), "Touch")
	f.done(r, st.Destroy(ctx, id), "Destroy")
	f.lists(r, servers, "ann", m)
	if st.Exist(ctx, id) {
		r.broken(f.t, "an owner's list is a session: it exists")
	}
	for _, page := range []string{"/read", "/set", "/rotate", "/destroy", "/logout", "/id", "/flash", "/add"} {
		thief := stranger(f.t, b, id)
		if res := thief.ok(r, b, page, "k", "user", "v", "eve"); strings.Contains(res.body, m.handle) || res.cookie() == id {
			r.broken(f.t, "%s with the ID of a list: %q", page, res.body)
		}
		f.lists(r, servers, "ann", m)
	}
	thief := stranger(f.t, a, id).signsIn(r, a, "eve")
	thief.lives(r, servers, "eve")
	if thief.id(a) == id {
		r.broken(f.t, "a session has the ID of a list")
	}
	f.lists(r, servers, "ann", m)
	m.lives(r, servers, "ann")

	// What keeps a sign-in from completing that was ended a moment ago stays as well.
	id = m.id(a)
	f.done(r, b.m.EndAll(ctx, "ann"), "EndAll")
	s, err := st.Read(ctx, id)
	if err != nil {
		f.t.Fatal(err)
	}
	s.Set("user", "eve")
	if err := st.Save(ctx, s); !errors.Is(err, session.ErrExists) {
		r.broken(f.t, "Save under the ID of a sign-in that was just ended: %v, want ErrExists", err)
	}
}

// placesApart has two applications share the storage.
func placesApart(r rule, f *fleet) {
	if f.suite.InProcess {
		f.t.Skip("a memory belongs to one Manager")
	}
	other := func(o *session.Options) { o.Cookie.Name = "other_session" }
	site, admin := []*server{f.start(nil), f.start(nil)}, []*server{f.start(other), f.start(other)}
	ctx := context.Background()
	m, n := newVisitor(f.t).signsIn(r, site[0], "ann"), newVisitor(f.t).signsIn(r, admin[0], "ann")
	f.lists(r, site, "ann", m)
	f.lists(r, admin, "ann", n)
	if err := site[0].m.End(ctx, "ann", n.handle); !errors.Is(err, session.ErrNotFound) {
		r.broken(f.t, "End of a session of another cookie: %v, want ErrNotFound", err)
	}
	f.done(r, site[1].m.EndAll(ctx, "ann"), "EndAll")
	m.lives(r, site, "")
	n.lives(r, admin, "ann")
	f.lists(r, site, "ann")
	f.lists(r, admin, "ann", n)
}

// processOwners has sign-ins, rotations and writes go on in two processes while all of
// an owner's sessions are ended.
func processOwners(r rule, f *fleet) {
	const before, during = 6, 6
	servers := f.pool()
	stood, cut := 0, 0
	for range rounds(f.t, 30) {
		owner := f.name()
		visitors := make([]*visitor, before+during)
		for i := range visitors {
			visitors[i] = newVisitor(f.t)
		}
		for i, v := range visitors[:before] {
			v.signsIn(r, servers[i%2], owner)
		}
		together(len(visitors)+1, func(i int) {
			if i == len(visitors) {
				newVisitor(f.t).ok(r, servers[1], "/endall", "owner", owner)
				return
			}
			pages := [][]string{{"/add", "k", "n"}, {"/rotate"}}
			if i >= before {
				visitors[i].ok(r, servers[i%2], "/own", "owner", owner)
			}
			for n := range 4 {
				page := pages[(i/2+n)%len(pages)]
				visitors[i].ok(r, servers[(i+n)%2], page[0], page[1:]...)
			}
		})
		var list []session.Info
		res := newVisitor(f.t).ok(r, servers[0], "/sessions", "owner", owner)
		if err := json.Unmarshal([]byte(res.body), &list); err != nil {
			f.t.Fatalf("the list: %v: %q", err, res.body)
		}
		live := 0
		for i, v := range visitors {
			is := v.ok(r, servers[i%2], "/read", "k", "user").body == owner
			switch {
			case is && i < before:
				r.broken(f.t, "a session lives that was signed in before all were ended")
			case is:
				live++
				handle := v.ok(r, servers[1-i%2], "/handle").body
				if !slices.ContainsFunc(list, func(i session.Info) bool { return i.Handle == handle }) {
					r.broken(f.t, "a session lives, and is not listed")
				}
			case i >= before:
				cut++
			}
		}
		if live != len(list) {
			r.broken(f.t, "%d sessions live, and %d are listed", live, len(list))
		}
		stood += live
		newVisitor(f.t).ok(r, servers[0], "/endall", "owner", owner)
	}
	f.t.Logf("of the sign-ins that met the end of all, %d were before it, and %d after", cut, stood)
}

// processSignIns has visitors who have a session sign in while all are ended, and while their
// other tabs change the session, so that moving it has to be tried again.
func processSignIns(r rule, f *fleet) {
	const each, more = 2, 4
	servers := f.pool()
	stood, n := 0, rounds(f.t, 60)
	for range n {
		owner := f.name()
		visitors, tabs := make([]*visitor, each), make([]*visitor, each*more)
		for i := range visitors {
			visitors[i] = newVisitor(f.t)
			visitors[i].ok(r, servers[i%2], "/set", "k", "cart", "v", "1")
		}
		for i := range tabs {
			tabs[i] = visitors[i%each].twin(servers[0])
		}
		together(each+len(tabs)+1, func(i int) {
			switch {
			case i < each:
				visitors[i].ok(r, servers[i%2], "/own", "owner", owner)
			case i < each+len(tabs):
				for range 4 {
					tabs[i-each].ok(r, servers[i%2], "/add", "k", "n")
				}
			default:
				for range 4 {
					newVisitor(f.t).ok(r, servers[1], "/endall", "owner", owner)
				}
			}
		})
		var list []session.Info
		res := newVisitor(f.t).ok(r, servers[0], "/sessions", "owner", owner)
		if err := json.Unmarshal([]byte(res.body), &list); err != nil {
			f.t.Fatalf("the list: %v: %q", err, res.body)
		}
		stood += len(list)
		newVisitor(f.t).ok(r, servers[0], "/endall", "owner", owner)
		for i, v := range append(visitors, tabs...) {
			if v.ok(r, servers[i%2], "/read", "k", "user").body == owner {
				r.broken(f.t, "a session lives that was signed in before all were ended, and is on no list")
			}
		}
	}
	f.t.Logf("of %d sign-ins that met the end of all, %d stood", n*each, stood)
}
