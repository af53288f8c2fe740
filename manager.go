package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session/internal/carry"
	"github.com/flamego/session/internal/hook"
	"github.com/flamego/session/internal/outage"
	"github.com/flamego/session/internal/txn"
)

// Manager holds a session store and everything that a server needs to use it. Create one at
// start; its methods may be called concurrently. The middleware injects it as
// *session.Manager.
type Manager struct {
	opt      Options
	carriers []*carry.Carrier
	leastID  int // a shorter ID is not looked up
	store    *store
	core     *txn.Store                     // the store's
	outer    Store                          // what the Initer returned
	at       string                         // where clients keep the ID
	placed   atomic.Bool                    // records of an application's own Store say so as well
	enter    func(id string) (leave func()) // called for every request with a session, or nil
	setup    setup
	reports  reports

	stop    context.CancelFunc
	stopped chan struct{}
	close   sync.Once
	closing error
}

// NewManager opens the store that the options select, and starts to remove expired records in
// the background. An error names the option at fault and the remedy; a Store that the Initer
// had opened is then closed again. Close the Manager when the server has stopped.
func NewManager(opts Options) (*Manager, error) {
	opt, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	// Find out now if this Flamego's writer does not let us send a 500.
	if _, err := carry.FindSlot(flamego.NewResponseWriter(http.MethodGet, nil)); err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	m := &Manager{
		opt:      opt,
		carriers: opt.carriers(),
		leastID:  min(legacyIDLength, opt.IDLength),
		at:       opt.place().String(),
		stopped:  make(chan struct{}),
	}
	writer := IDWriter(func(w http.ResponseWriter, r *http.Request, sid string) { m.carriers[0].Write(w, r, sid, 0) })
	// Exactly what v1.6.6 passed: applications' Initers refuse unknown arguments.
	m.outer, err = opt.Initer(context.Background(), opt.Config, writer)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	if m.outer == nil {
		return nil, errors.New("session: Options.Initer returned no Store and no error: fix the Initer")
	}
	if s, ok := m.outer.(*store); ok {
		m.store = s.unused()
		m.outer = m.store
	} else {
		e := &foreignEngine{outer: m.outer}
		m.store, m.enter = newStore(e, 0), e.enter
	}
	m.core = m.store.core
	if err := m.check(); err != nil {
		if closing := m.closeStore(); closing != nil {
			m.report(context.Background(), closing)
		}
		return nil, fmt.Errorf("session: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.stop = cancel
	go m.collect(ctx)
	return m, nil
}

// check returns an error if the options and the Store do not fit.
func (m *Manager) check() error {
	if err := m.store.attach(m); err != nil {
		return err
	}
	if m.core.Traits.Client && m.opt.Transport.has(byQuery) {
		return errors.New("Transport: a session that is kept by the client is too large for URLs, and all of it would be in logs: use session.CookieTransport")
	}
	if err := canOwn(m.core); err != nil {
		switch {
		case m.opt.MaxPerOwner > 0:
			return fmt.Errorf("MaxPerOwner: %w", err)
		case m.opt.OwnerOf != nil:
			return fmt.Errorf("OwnerOf: %w", err)
		case m.opt.RenewEvery > 0:
			return fmt.Errorf("RenewEvery: %w", err)
		}
	}
	if err := m.prove(); err != nil {
		return err
	}
	m.checkPath()
	return m.register()
}

// prove makes a Store of this library show that it returns what it is given. If the store
// cannot be reached, the server starts anyway, and requests that need it fail until it can be.
func (m *Manager) prove() error {
	e, ok := m.core.Engine.(interface{ Prove(context.Context) error })
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), defaultStoreTimeout)
	defer cancel()
	err := e.Prove(ctx)
	if err != nil && outage.Is(err) {
		m.report(ctx, fmt.Errorf("session: start: %w", err))
		return nil
	}
	return err
}

// Sessioner returns a middleware handler that injects session.Session, session.Store and more
// into the request context: see Manager.Sessioner. It panics if the options are wrong or the
// store cannot be opened; NewManager returns an error instead, and its Manager can be closed.
func Sessioner(opts ...Options) flamego.Handler {
	var opt Options
	if len(opts) > 0 {
		opt = opts[0]
	}
	m, err := NewManager(opt)
	if err != nil {
		panic(err.Error())
	}
	return m.Sessioner()
}

// Sessioner returns the middleware. It injects session.Session, session.Store, session.Flash
// and *session.Manager. The client gets 500 if the session cannot be loaded, and also, in
// place of the handlers' response, if its changes cannot be stored. If you use
// flamego.Recovery, put it in front.
func (m *Manager) Sessioner() flamego.Handler {
	return flamego.ContextInvoker(func(c flamego.Context) { m.handle(c, ordinary) })
}

// SessionerAs returns the middleware for a second Manager on the same requests, for example
// for administrators. It injects its session and flash under types of your own:
//
//	type AdminSession interface{ session.Session }
//	type AdminFlash interface{}
//
//	f.Use(m.Sessioner(), session.SessionerAs[AdminSession, AdminFlash](admin))
//	f.Get("/admin", func(s AdminSession, flash AdminFlash) { … })
//
// The Managers must have different Cookie.Names; otherwise the client gets 500, and ErrorFunc
// is called. Each commits independently: if one fails, the client gets 500, but what the other
// has stored stays, and so does its cookie. Store and *Manager are not injected: use the
// Manager that you have.
//
// It panics unless both types are new interface types: S with the methods of Session, F with
// none.
func SessionerAs[S Session, F any](m *Manager) flamego.Handler {
	s, f := reflect.TypeFor[S](), reflect.TypeFor[F]()
	switch {
	case m == nil:
		panic("session: SessionerAs: the Manager is nil: make one with NewManager")
	case s.Kind() != reflect.Interface || !reflect.TypeFor[*live]().Implements(s):
		panic(fmt.Sprintf("session: SessionerAs: %s can't hold a session: declare `type %s interface{ session.Session }`", s, s.Name()))
	case s == ordinary.session:
		panic("session: SessionerAs: session.Session is the type of the first Manager: declare a type of your own, `type AdminSession interface{ session.Session }`")
	case f.Kind() != reflect.Interface || f.NumMethod() != 0 || f.Name() == "":
		panic(fmt.Sprintf("session: SessionerAs: %s can't hold a flash: declare `type AdminFlash interface{}`", f))
	case f == ordinary.flash:
		panic("session: SessionerAs: session.Flash is the type of the first Manager: declare a type of your own, `type AdminFlash interface{}`")
	}
	as := newInjection(s, f, true)
	return flamego.ContextInvoker(func(c flamego.Context) { m.handle(c, as) })
}

// Store returns the store, for use outside of requests.
func (m *Manager) Store() Store { return m.outer }

// Close stops the background work and closes every connection that the library opened, but
// none that it was given. If several Managers use one Store, the last to be closed closes it.
// Close waits until the context ends; it then returns the context's error, and closing goes on
// in the background. Call it when no more requests arrive, after http.Server.Shutdown. Later
// calls return the result of the first.
func (m *Manager) Close(ctx context.Context) error {
	m.close.Do(func() {
		m.stop()
		done := make(chan error, 1)
		go func() { // Nobody may use the connections any more when they are closed.
			<-m.stopped
			done <- m.closeStore()
		}()
		select {
		case m.closing = <-done:
		case <-ctx.Done():
			m.closing = fmt.Errorf("session: close: %w", ctx.Err())
			go func() {
				if err := <-done; err != nil {
					m.report(ctx, err)
				}
			}()
		}
	})
	return m.closing
}

// closeStore closes the Store, unless another Manager still uses it.
func (m *Manager) closeStore() error {
	last := m.unregister()
	if c, ok := m.outer.(io.Closer); ok && last {
		if err := c.Close(); err != nil {
			return fmt.Errorf("session: close: %w", err)
		}
	}
	return nil
}

// collect removes expired sessions at intervals. It starts at a random moment, so that
// servers started together do not sweep together.
func (m *Manager) collect(ctx context.Context) {
	defer close(m.stopped)
	timer := time.NewTimer(rand.N(m.opt.GCInterval))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if err := m.store.GC(ctx); err != nil && ctx.Err() == nil {
			m.report(ctx, err)
		}
		timer.Reset(m.opt.GCInterval)
	}
}

// Count returns the number of live sessions in the store, including those of other servers,
// and of other Managers if they share a table. Use it for "users online". Expired sessions and
// the library's own records do not count, with one exception: a session that is ended from
// elsewhere within five minutes of its sign-in or of a new ID counts for five more minutes.
//
// It reads an index, the expiry of every session or, on Redis, every key: fine for an admin
// page, too expensive for every page of a busy site.
//
// Only the context limits the wait, not Options.StoreTimeout. The error is
// errors.ErrUnsupported if the Store is not a Counter. Count may be called concurrently.
func (m *Manager) Count(ctx context.Context) (int, error) {
	c, ok := m.core.Engine.(Counter)
	if !ok {
		return 0, fmt.Errorf("session: count: %w", errors.ErrUnsupported)
	}
	n, err := c.Count(ctx, m.core.Now())
	if err != nil {
		return 0, fmt.Errorf("session: count: %w", err)
	}
	return n, nil
}

// observer returns the function that the core calls, or nil, so that nothing is measured.
func (m *Manager) observer() func(context.Context, txn.Event) {
	if m.opt.Observe == nil {
		return nil
	}
	return func(ctx context.Context, e txn.Event) {
		defer func() {
			if p := recover(); p != nil {
				m.report(ctx, fmt.Errorf("session: Options.Observe panicked: %v", p))
			}
		}()
		m.opt.Observe(ctx, eventOf(e))
	}
}

// Stats returns the figures of this Manager; each server has its own. It does not call the
// store, and may be called concurrently.
func (m *Manager) Stats() Stats {
	n := func(k EventKind) int64 { return m.core.Counts[k].Load() }
	return Stats{
		Began: n(Began), Loaded: n(Loaded), Rotated: n(Rotated), Renewed: n(Renewed), Ended: n(Ended), Evicted: n(Evicted), Expired: n(Expired),
		UnknownIDs: n(UnknownID), MalformedIDs: n(MalformedID), Undecodable: n(Undecodable),
		Conflicts: n(Conflict), StoreErrors: n(StoreError),
	}
}

// The test helpers use these hooks, so that they find a session exactly where the
// middleware would.
func init() {
	hook.SetClock = func(options any, now func() time.Time) { options.(*Options).now = now }
	hook.Cookie = func(manager any) *http.Cookie {
		c := manager.(*Manager).opt.Cookie.cookie()
		return &c
	}
	hook.Carriers = func(manager any) []*carry.Carrier { return manager.(*Manager).carriers }
	hook.IsValid = func(manager any, value string) bool {
		m := manager.(*Manager)
		return m.core.Engine.Valid(value, m.leastID)
	}
	hook.Save = func(ctx context.Context, manager, sess any) (string, error) {
		m := manager.(*Manager)
		if l, ok := sess.(*live); ok && m.core.Traits.Client {
			err := l.txn.Commit(ctx) // Not Save, which cannot reach the client.
			return string(l.txn.State().Token), err
		}
		s := sess.(Session)
		return s.ID(), m.outer.Save(ctx, s)
	}
}
