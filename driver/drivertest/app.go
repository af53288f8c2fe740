package drivertest

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

// probe is the application that every server of a fleet runs. What it does is
// asked for in the query, so that it works the same in another process.
type probe struct {
	mu    sync.Mutex
	gates map[string]*barrier
	calls map[string]func(call)
}

// call is what a function gets that a test runs inside a handler.
type call struct {
	session.Session
	ctx   flamego.Context
	flash session.Flash
	store session.Store
}

// barrier holds requests until the test lets them go on.
type barrier struct {
	arrived chan struct{} // one a request
	release chan struct{} // closed to let all go
}

func newProbe() *probe {
	return &probe{gates: make(map[string]*barrier), calls: make(map[string]func(call))}
}

func (p *probe) barrier(name string) *barrier {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.gates[name]
	if b == nil {
		b = &barrier{arrived: make(chan struct{}, 1024), release: make(chan struct{})}
		p.gates[name] = b
	}
	return b
}

// hold stops a handler that was asked to, until the test has done its part.
func (p *probe) hold(c flamego.Context) {
	name := c.Query("hold")
	if name == "" {
		return
	}
	b := p.barrier(name)
	b.arrived <- struct{}{}
	select {
	case <-b.release:
	case <-time.After(time.Minute): // A test that forgot must not hang forever.
	}
	if c.Query("gone") != "" { // Until the server has noticed that the client hung up.
		select {
		case <-c.Request().Context().Done():
		case <-time.After(10 * time.Second):
		}
	}
}

// handler returns the application. The routes that control it stand outside of
// the middleware.
func (p *probe) handler(m *session.Manager) http.Handler {
	f := flamego.NewWithLogger(discard{})
	f.Use(flamego.Recovery())
	f.Get("/arrived", func(c flamego.Context) (int, string) {
		select {
		case <-p.barrier(c.Query("hold")).arrived:
			return http.StatusOK, ""
		case <-time.After(30 * time.Second):
			return http.StatusGatewayTimeout, "nobody came"
		}
	})
	f.Get("/release", func(c flamego.Context) (int, string) {
		close(p.barrier(c.Query("hold")).release)
		return http.StatusOK, ""
	})
	f.Group("", func() {
		f.Get("/untouched", func() string { return "untouched" })
		f.Get("/read", func(c flamego.Context, s session.Session) string {
			p.hold(c)
			return show(s.Get(c.Query("k")))
		})
		f.Get("/set", func(c flamego.Context, s session.Session) string {
			p.hold(c)
			s.Set(c.Query("k"), c.Query("v"))
			return "set"
		})
		f.Get("/add", func(c flamego.Context, s session.Session) string {
			p.hold(c)
			return strconv.Itoa(session.Update(s, c.Query("k"), func(n int) int { return n + 1 }))
		})
		f.Get("/flash", func(c flamego.Context, s session.Session) string {
			s.SetFlash(meeting{Text: c.Query("v"), Name: c.Query("meet"), Heads: c.QueryInt("heads")})
			return "set"
		})
		f.Get("/take", func(flash session.Flash) string { return show(flash) })
		f.Combo("/addflash").Get(p.addFlash).Post(p.addFlash)
		f.Get("/flashes", func(s session.Session) string { return fmt.Sprint(session.Flashes(s)) })
		f.Get("/takekey", p.takeKey)
		f.Get("/id", func(s session.Session) string { return s.ID() })
		f.Get("/signin", p.signIn)
		f.Get("/rotate", func(c flamego.Context, s session.Session) (string, error) {
			p.hold(c)
			return s.ID(), s.RegenerateID(c.ResponseWriter(), c.Request().Request)
		})
		f.Get("/destroy", func(c flamego.Context, s session.Session) string {
			p.hold(c)
			session.Destroy(s)
			return "destroyed"
		})
		f.Get("/logout", func(c flamego.Context, s session.Session, st session.Store) error {
			return st.Destroy(c.Request().Context(), s.ID()) // As it is done since v1.6.6.
		})
		f.Get("/stream", p.stream)
		f.Get("/do", p.do)
		p.ownerRoutes(f, m)
	}, m.Sessioner())
	return f
}

// do runs a function of the test.
func (p *probe) do(c flamego.Context, s session.Session, flash session.Flash, st session.Store) {
	p.mu.Lock()
	fn := p.calls[c.Query("fn")]
	p.mu.Unlock()
	p.hold(c)
	fn(call{s, c, flash, st})
}

func (p *probe) addFlash(c flamego.Context, s session.Session) string {
	p.hold(c)
	session.AddFlash(s, c.Query("v"))
	return "added"
}

func (p *probe) takeKey(c flamego.Context, s session.Session) (string, error) {
	p.hold(c)
	val, ok, err := session.Take[string](c.Request().Context(), s, c.Query("k"))
	if !ok {
		val = "nothing"
	}
	return val, err
}

// signIn answers a redirect with more of a body than the server holds back, so
// that the client follows it while the handler still runs.
func (p *probe) signIn(c flamego.Context, s session.Session) {
	s.Set("user", c.Query("v"))
	_ = s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	w := c.ResponseWriter()
	w.Header().Set("Location", "/read?k=user")
	w.WriteHeader(http.StatusFound)
	w.Flush()
	p.hold(c)
}

// stream sets one key before the first byte and one after it.
func (p *probe) stream(c flamego.Context, s session.Session) {
	s.Set("early", c.Query("v"))
	w := c.ResponseWriter()
	_, _ = fmt.Fprint(w, "streaming\n")
	w.Flush()
	s.Set("late", c.Query("v"))
	if c.Query("commit") != "" {
		if err := session.Commit(context.Background(), s); err != nil {
			_, _ = fmt.Fprint(w, err)
		}
		w.Flush()
	}
	p.hold(c)
}

// show prints a value so that a missing one differs from an empty one.
func show(v any) string {
	if v == nil {
		return "nothing"
	}
	return fmt.Sprint(v)
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
