package drivertest

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
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
	clear(a.m.EndEverybody(ctx), "EndEverybody")
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

// isOne compares what is listed in the given place with the sessions of all members. Its
// handle is worth nothing as an ID.
func isOne(r rule, f *fleet, servers []*server, ann []member, info session.Info, i int) {
	f.t.Helper()
	for j, m := range ann {
		if m.id(servers[0]) == info.Handle {
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
	stranger(f.t, servers[0], info.Handle).lives(r, servers, "")
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
		isOne(r, f, servers, ann, info, i)
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

// listIsNoSession presents the ID of an owner's list, which anybody can work out.
func listIsNoSession(r rule, f *fleet) {
	servers := f.pool()
	a, b, ctx := servers[0], servers[1], context.Background()
	m := newVisitor(f.t).signsIn(r, a, "ann")
	place := "cookie " + a.name
	if f.suite.inProcess { // Its records do not say where they belong.
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
	if f.suite.inProcess {
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
