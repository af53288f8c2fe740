package benchmarks

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
	"github.com/flamego/session/internal/testserver"
)

// tripActions are the lines of the table, and what is counted for a session that has an
// owner and for one that has none.
var tripActions = []struct{ title, owned, without string }{
	{"a request that reads", "read", "read of nobody's"},
	{"a request that slides the expiry", "slide", "slide of nobody's"},
	{"the sign-in of a visitor who has no session yet; without an owner, a first change", "new sign-in", "visit"},
	{"the same with `MaxPerOwner`", "new sign-in, bounded", ""},
	{"the sign-in of a visitor who has one; without an owner, `RegenerateID`", "sign-in", "rotation of nobody's"},
	{"the same with `MaxPerOwner`", "sign-in, bounded", ""},
	{"another ID", "rotation", "rotation of nobody's"},
	{"the sign-out", "sign-out", "sign-out of nobody's"},
	{"`Manager.Sessions`", "list", ""},
	{"`Manager.End`", "end", ""},
	{"the same within five minutes of the sign-in", "early end", ""},
	{"`Manager.EndAll` of ten", "end all", ""},
	{"the same within five minutes of their sign-ins", "early end all", ""},
}

// tripCounts are round trips by what is done and by system.
type tripCounts map[string]map[string]int64

// note keeps the least: a script or a statement may have been unknown to the server before.
func (c tripCounts) note(what, system string, n int64) {
	if c[what] == nil {
		c[what] = make(map[string]int64)
	}
	if old, ok := c[what][system]; !ok || n < old {
		c[what][system] = n
	}
}

// cell is one number if that is the same on all systems.
func (c tripCounts) cell(t *testing.T, what string) string {
	var all []string
	for _, sys := range ownersSystems {
		if n, ok := c[what][sys.name]; ok {
			all = append(all, fmt.Sprint(n))
		}
	}
	if len(all) == 0 {
		return ""
	}
	for _, n := range all {
		if n != all[0] {
			t.Errorf("the round trips of %q are not the same on all systems: %v", what, c[what])
		}
	}
	return all[0]
}

func (c tripCounts) report(t *testing.T, servers []string) {
	var rows [][]string
	for _, a := range tripActions {
		if len(c[a.owned]) > 0 {
			rows = append(rows, []string{a.title, c.cell(t, a.owned), c.cell(t, a.without)})
		}
	}
	reportOn(t, "owner-trips", "The same on "+strings.Join(servers, ", "), len(tripActions), []string{"round trips", "of an owned session", "of one without an owner"}, rows)
}

// client is one visitor of an application whose round trips are counted.
type client struct {
	t      *testing.T
	f      *flamego.Flame
	px     *tripCounter
	later  *atomic.Int64 // what is added to the clock
	cookie string
}

// get returns the round trips of a request.
func (c *client) get(path string) int64 {
	c.t.Helper()
	req := httptest.NewRequest(http.MethodGet, path, nil)
	req.Header.Set("Cookie", c.cookie)
	before := c.px.trips.Load()
	rec := httptest.NewRecorder()
	c.f.ServeHTTP(rec, req)
	if rec.Code != http.StatusOK {
		c.t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
	if all := rec.Result().Cookies(); len(all) > 0 {
		c.cookie = all[0].Name + "=" + all[0].Value
	}
	return c.px.trips.Load() - before
}

// fresh is get of a visitor without a session.
func (c *client) fresh(path string) int64 {
	c.t.Helper()
	c.cookie = ""
	return c.get(path)
}

// after is get when so much time has passed.
func (c *client) after(d time.Duration, path string) int64 {
	c.t.Helper()
	c.later.Add(int64(d))
	return c.get(path)
}

// sign signs in ten visitors.
func (c *client) sign() {
	for range perOwner {
		c.fresh("/signin")
	}
}

func newClient(t *testing.T, px *tripCounter, opt session.Options) *client {
	c := &client{t: t, px: px, f: flamego.New(), later: new(atomic.Int64)}
	hook.SetClock(&opt, func() time.Time { return time.Now().Add(time.Duration(c.later.Load())) })
	m := manager(t, opt)
	var list []session.Info
	f := c.f
	f.Use(m.Sessioner())
	f.Get("/visit", func(s session.Session) { s.Set("cart", 1) })
	f.Get("/read", func(s session.Session) { s.Get("cart") })
	f.Get("/signin", func(s session.Session) error { return session.SetOwner(s, "ann") })
	f.Get("/rotate", func(c flamego.Context, s session.Session) error {
		return s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	})
	f.Get("/signout", func(s session.Session) { session.Destroy(s) })
	f.Get("/list", func(r *http.Request) (err error) { list, err = m.Sessions(r.Context(), "ann"); return err })
	f.Get("/end", func(r *http.Request) error { return m.End(r.Context(), "ann", list[0].Handle) })
	f.Get("/endall", func(r *http.Request) error { return m.EndAll(r.Context(), "ann") })
	return c
}

// countOwners counts the round trips of one request each, as test/compare does.
func countOwners(t *testing.T, sys ownersSystem, s *testserver.Server, addr string, counted tripCounts) {
	px := newTripCounter(t, addr)
	store := func() session.Options {
		return sys.opt(t, s, px.l.Addr().String(), fmt.Sprint("counted", time.Now().UnixNano()))
	}
	c, opt := newClient(t, px, store()), store()
	opt.MaxPerOwner = 2 * perOwner
	bounded := newClient(t, px, opt)
	note := func(what string, n int64) { counted.note(what, sys.name, n) }
	for range 3 { // The connection opens, and statements are prepared.
		note("visit", c.fresh("/visit"))
		note("read of nobody's", c.get("/read"))
		note("slide of nobody's", c.after(4*time.Minute, "/read"))
		note("rotation of nobody's", c.get("/rotate"))
		note("sign-out of nobody's", c.get("/signout"))
		c.sign()
		note("read", c.get("/read"))
		note("slide", c.after(4*time.Minute, "/read"))
		note("rotation", c.get("/rotate"))
		note("sign-out", c.get("/signout"))
		note("new sign-in", c.fresh("/signin"))
		c.fresh("/visit")
		note("sign-in", c.get("/signin"))
		note("sign-out", c.get("/signout"))
		c.cookie = ""
		note("list", c.get("/list"))
		note("early end", c.get("/end"))
		c.sign()
		c.get("/list")
		c.cookie = ""
		note("end", c.after(6*time.Minute, "/end"))
		c.get("/endall")
		c.sign()
		c.cookie = ""
		note("early end all", c.get("/endall"))
		c.sign()
		c.cookie = ""
		note("end all", c.after(6*time.Minute, "/endall"))
		bounded.fresh("/signin")
		note("new sign-in, bounded", bounded.fresh("/signin"))
		bounded.fresh("/visit")
		note("sign-in, bounded", bounded.get("/signin"))
		bounded.fresh("/endall")
	}
}

// tripCounter passes bytes between a program and its server, and counts how often the
// program speaks after it has been spoken to.
type tripCounter struct {
	l     net.Listener
	trips atomic.Int64
}

func newTripCounter(t *testing.T, upstream string) *tripCounter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p := &tripCounter{l: l}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", upstream)
			if err != nil {
				_ = client.Close()
				continue
			}
			var waiting atomic.Bool // for the server, which has been asked
			go pass(client, server, func() { waiting.Store(false) })
			go pass(server, client, func() {
				if !waiting.Swap(true) {
					p.trips.Add(1)
				}
			})
		}
	}()
	return p
}

// pass calls each time before it passes something on.
func pass(to, from net.Conn, each func()) {
	defer func() { _, _ = to.Close(), from.Close() }()
	_, _ = io.CopyBuffer(struct{ io.Writer }{to}, readerFunc(func(b []byte) (int, error) {
		n, err := from.Read(b)
		if n > 0 {
			each()
		}
		return n, err
	}), make([]byte, 64<<10))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
