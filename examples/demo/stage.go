package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

// stage is the page with both servers. It is a third program on their store: its visitors have
// the sessions that they have on the servers, since browsers send a cookie to all ports.
type stage struct {
	servers []*server
	events  *eventLog
}

// runStage starts the servers, and serves the page until the context ends.
func runStage(ctx context.Context, cfg config) (err error) {
	cfg.release = 2 // It shows what the newest version knows.
	cfg.release.register()
	st, opt := &stage{events: &eventLog{}}, sessionOptions(cfg)
	opt.Observe = func(_ context.Context, e session.Event) {
		if what := describe(e); what != "" {
			st.events.add("This page", what)
		}
	}
	users, err := session.NewManager(opt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeManager(users)) }()
	l, err := listen(cfg.addr)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return err
	}
	if st.servers, err = newServers(cfg, port, st.events); err != nil {
		return err
	}
	for _, s := range st.servers {
		defer s.stop()
		if err := s.start(1); err != nil {
			return err
		}
	}
	return serve(ctx, cfg, l, newStage(cfg, st, users))
}

func newStage(cfg config, st *stage, users *session.Manager) http.Handler {
	f := flamego.New()
	f.Map(newAccounts(1)) // Nobody signs in here.
	f.Use(flamego.Recovery(), securityHeaders(cfg), files(), users.Sessioner(), newView(cfg))
	f.Get("/", st.show)
	f.Get(lookPath, st.showLook)
	f.Post("/clicks", st.click)
	f.Post("/server", st.change)
	f.NotFound(showNotFound)
	return guard(f)
}

// stagePage is what stage.html shows.
type stagePage struct {
	Host    string // of the servers: that by which the browser has come here
	Servers []serverState
	Look    look
}

func (stagePage) Clicks() int { return clicksEach }

func (st *stage) show(c flamego.Context, s session.Session, users *session.Manager, a *accounts, v *view) error {
	p := stagePage{Host: hostOf(c.Request().Request)}
	frames := ""
	for _, srv := range st.servers {
		state := srv.state()
		p.Servers = append(p.Servers, state)
		if state.Port != "" {
			frames += " http://" + net.JoinHostPort(p.Host, state.Port)
		}
	}
	var err error
	if p.Look, err = st.look(c.Request().Context(), s, users, a); err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Security-Policy", h.Get("Content-Security-Policy")+"; script-src 'self'; connect-src 'self'; frame-src"+frames)
	return v.show(http.StatusOK, "stage", p)
}

// change kills a server, starts it, or replaces it by the other version.
func (st *stage) change(c flamego.Context, s session.Session) {
	form := c.Request().PostFormValue
	defer c.Redirect("/", http.StatusSeeOther)
	i := slices.IndexFunc(st.servers, func(srv *server) bool { return srv.name == form("name") })
	if i < 0 {
		return
	}
	srv := st.servers[i]
	to := srv.state().Release
	switch form("do") {
	case "kill":
		srv.kill()
		session.AddFlash(s, info("Server "+srv.name+" is dead, by kill -9. Go on with the other one."))
		return
	case "deploy":
		srv.stop()
		to = to.other()
	}
	if err := srv.start(to); err != nil {
		session.AddFlash(s, bad("Server "+srv.name+" does not start: the terminal says why."))
		return
	}
	session.AddFlash(s, good(fmt.Sprintf("Server %s runs version %d.", srv.name, to)))
}
