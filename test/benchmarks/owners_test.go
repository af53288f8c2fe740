package benchmarks

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/mongo"
	"github.com/flamego/session/mysql"
	"github.com/flamego/session/postgres"
	"github.com/flamego/session/redis"
	"github.com/flamego/session/sqlite"
)

// perOwner is how many sessions an owner has.
const perOwner = 10

// ownersSystem makes options for a store with a name, at an address other than the
// server's own if there is one.
type ownersSystem struct {
	name string
	kind *testserver.Kind // nil if there is no server
	opt  func(t *testing.T, s *testserver.Server, addr, store string) session.Options
}

var ownersSystems = []ownersSystem{
	{"memory", nil, func(*testing.T, *testserver.Server, string, string) session.Options { return session.Options{} }},
	{"files", nil, func(t *testing.T, _ *testserver.Server, _, store string) session.Options {
		return session.Options{Initer: session.FileIniter(), Config: session.FileConfig{RootDir: filepath.Join(t.TempDir(), store)}}
	}},
	{"SQLite", nil, func(t *testing.T, _ *testserver.Server, _, store string) session.Options {
		return session.Options{Initer: sqlite.Initer(), Config: sqlite.Config{DSN: filepath.Join(t.TempDir(), store+".db"), InitTable: true}}
	}},
	{"PostgreSQL", testserver.Postgres, func(_ *testing.T, s *testserver.Server, addr, store string) session.Options {
		return session.Options{Initer: postgres.Initer(), Config: postgres.Config{DSN: at(s, addr), Table: store, InitTable: true}}
	}},
	{"MariaDB", testserver.MariaDB, mysqlOptions},
	{"MySQL", testserver.MySQL, mysqlOptions},
	{"Redis", testserver.Redis, func(_ *testing.T, _ *testserver.Server, addr, store string) session.Options {
		return session.Options{Initer: redis.Initer(), Config: redis.Config{Options: &redis.Options{Addr: addr}, KeyPrefix: store + ":"}}
	}},
	{"MongoDB", testserver.Mongo, func(_ *testing.T, s *testserver.Server, addr, store string) session.Options {
		o := mongo.Options{}
		return session.Options{Initer: mongo.Initer(), Config: mongo.Config{Options: o.ApplyURI(at(s, addr)), Database: "owners", Collection: store}}
	}},
}

func mysqlOptions(_ *testing.T, s *testserver.Server, addr, store string) session.Options {
	return session.Options{Initer: mysql.Initer(), Config: mysql.Config{DSN: at(s, addr), Table: store, InitTable: true}}
}

var hostPort = regexp.MustCompile(`[\w.-]+:\d{2,5}\b`)

// at is the server's DSN with another address.
func at(s *testserver.Server, addr string) string {
	return strings.Replace(s.DSN, hostPort.FindString(s.DSN), addr, 1)
}

// TestOwners lists the sessions of one owner, beside a few others and beside many, and
// counts the round trips of that and of what goes with it.
func TestOwners(t *testing.T) {
	owners := map[string]int{"few": 100, "many": 10_000}
	if testing.Short() {
		owners["many"] = 1_000
	}
	for _, sys := range ownersSystems {
		t.Run(sys.name, func(t *testing.T) {
			var s *testserver.Server
			var addr string
			if sys.kind != nil {
				s = sys.kind.Get(t)
				addr = hostPort.FindString(s.DSN)
				countOwners(t, sys, s, addr)
			}
			ms := make(map[string]*session.Manager)
			var filled time.Duration
			for name, n := range owners {
				m := manager(t, sys.opt(t, s, addr, fmt.Sprint(name, time.Now().UnixNano())))
				begin := time.Now()
				fillOwners(t, m, n)
				filled = max(filled, time.Since(begin))
				ms[name] = m
			}
			took := make(map[string][]time.Duration)
			for range 1_000 { // In turns, so that both have the same weather.
				for name, m := range ms {
					begin := time.Now()
					list, err := m.Sessions(context.Background(), ownerName(rand.IntN(owners[name])))
					took[name] = append(took[name], time.Since(begin))
					if err != nil || len(list) != perOwner {
						t.Fatalf("%d sessions are listed, %v; want %d", len(list), err, perOwner)
					}
				}
			}
			for _, d := range took {
				slices.Sort(d)
			}
			t.Logf("OWNERS a list of %d: p50 %v of %d sessions, %v of %d; p99 %v, %v (filled in %v)", perOwner,
				rank(took["few"], 50), owners["few"]*perOwner, rank(took["many"], 50), owners["many"]*perOwner,
				rank(took["few"], 99), rank(took["many"], 99), filled.Round(time.Millisecond))
		})
	}
}

func ownerName(i int) string { return fmt.Sprint("user", i) }

// fillOwners signs everybody in, through the Store.
func fillOwners(t *testing.T, m *session.Manager, owners int) {
	ctx := context.Background()
	const writers = 4
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < owners; i += writers {
				for j := range perOwner {
					s, err := m.Store().Read(ctx, letter(i/32)+letter(i)+key(i*perOwner+j))
					if err == nil {
						s.Set("theme", "dark")
						err = session.SetOwner(s, ownerName(i))
					}
					if err == nil {
						err = m.Store().Save(ctx, s)
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

// countOwners counts the round trips of one request each, as test/compare does.
func countOwners(t *testing.T, sys ownersSystem, s *testserver.Server, addr string) {
	px := newTripCounter(t, addr)
	m := manager(t, sys.opt(t, s, px.l.Addr().String(), fmt.Sprint("counted", time.Now().UnixNano())))
	f := flamego.New()
	f.Use(m.Sessioner())
	f.Get("/visit", func(s session.Session) { s.Set("cart", 1) })
	f.Get("/read", func(s session.Session) { s.Get("cart") })
	f.Get("/signin", func(s session.Session) error { return session.SetOwner(s, "ann") })
	f.Get("/rotate", func(c flamego.Context, s session.Session) error {
		return s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	})
	f.Get("/list", func(r *http.Request) error { _, err := m.Sessions(r.Context(), "ann"); return err })
	f.Get("/end", func(r *http.Request) error {
		list, err := m.Sessions(r.Context(), "ann")
		if err == nil {
			err = m.End(r.Context(), "ann", list[0].Handle)
		}
		return err
	})
	f.Get("/endall", func(r *http.Request) error { return m.EndAll(r.Context(), "ann") })
	f.Get("/signout", func(s session.Session) { session.Destroy(s) })
	cookie := ""
	get := func(path string) int64 {
		req := httptest.NewRequest(http.MethodGet, path, nil)
		req.Header.Set("Cookie", cookie)
		before := px.trips.Load()
		rec := httptest.NewRecorder()
		f.ServeHTTP(rec, req)
		if rec.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
		}
		if c := rec.Result().Cookies(); len(c) > 0 {
			cookie = c[0].Name + "=" + c[0].Value
		}
		return px.trips.Load() - before
	}
	all := func() { // Each once, and ten sign-ins.
		for _, path := range []string{"/visit", "/rotate", "/signin", "/rotate", "/list", "/signout"} {
			get(path)
		}
		for range perOwner {
			cookie = ""
			get("/signin")
		}
	}
	all() // The connection opens, and statements are prepared.
	get("/end")
	get("/endall")
	all()
	row := []string{}
	note := func(what string, n int64) { row = append(row, fmt.Sprintf("%s %d", what, n)) }
	signedIn := cookie
	cookie = ""
	note("list", get("/list"))
	get("/visit")
	note("rotation without an owner", get("/rotate"))
	note("sign-out without an owner", get("/signout"))
	cookie = ""
	note("visit", get("/visit"))
	note("read", get("/read"))
	note("sign-in of the visitor", get("/signin"))
	note("rotation", get("/rotate"))
	note("sign-out", get("/signout"))
	cookie = ""
	note("sign-in of a new visitor", get("/signin"))
	cookie = signedIn
	note("read of an owned one", get("/read"))
	cookie = ""
	note("list and end one", get("/end"))
	note("end all of ten", get("/endall"))
	t.Logf("OWNERS round trips: %s", strings.Join(row, ", "))
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
