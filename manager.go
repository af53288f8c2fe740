package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/flamego/flamego"
)

// Manager holds a session store and everything that a server needs to work with
// it. It is made once, at start; its methods may be called concurrently. The
// middleware injects it as *session.Manager.
type Manager struct {
	opt      Options
	carriers []carrier
	leastID  int // no shorter ID is looked up
	store    *store
	outer    Store  // what the Initer returned
	at       string // where clients keep what they are told

	stop    context.CancelFunc
	stopped chan struct{}
	close   sync.Once
	closing error
}

// NewManager opens the store that the options name, and starts to remove its
// expired sessions in the background. An error names the option at fault and the
// remedy. The Manager is to be closed when the server has stopped.
func NewManager(opts Options) (*Manager, error) {
	opt, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	// A Flamego that cannot be told to answer 500 must be found out now.
	if _, err := innerWriter(flamego.NewResponseWriter(http.MethodGet, nil)); err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	m := &Manager{
		opt:      opt,
		carriers: opt.carriers(),
		leastID:  min(legacyIDLength, opt.IDLength),
		at:       opt.place().String(),
		stopped:  make(chan struct{}),
	}
	writer := IDWriter(func(w http.ResponseWriter, r *http.Request, sid string) { m.carriers[0].write(w, r, sid, 0) })
	// Exactly what v1.6.6 passed: Initers of applications refuse what they do not know.
	m.outer, err = opt.Initer(context.Background(), opt.Config, writer)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	if m.outer == nil {
		return nil, errors.New("session: Options.Initer returned no Store and no error: mend the Initer")
	}
	if s, ok := m.outer.(*store); ok {
		m.store = s
	} else {
		m.store = newStore(&foreignEngine{Store: m.outer}, 0)
	}
	if err := m.store.attach(&m.opt); err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	if m.store.inClient && opt.Transport.has(byQuery) {
		return nil, errors.New("session: Transport: a session that is kept by the client is too large for URLs, and would be in logs as a whole: use session.CookieTransport")
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.stop = cancel
	go m.collect(ctx)
	return m, nil
}

// Sessioner returns a middleware handler that injects session.Session and
// session.Store into the request context, which are used for manipulating
// session data. See Manager.Sessioner. It panics if the options are wrong or the
// store cannot be opened; NewManager returns an error instead, and can be closed.
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

// Sessioner returns the middleware. It injects session.Session, session.Store,
// session.Flash and *session.Manager. It answers 500 itself when the session
// cannot be loaded, and in the place of the handlers after it when what they
// changed cannot be stored. flamego.Recovery, if any, belongs in front of it.
func (m *Manager) Sessioner() flamego.Handler {
	return flamego.ContextInvoker(func(c flamego.Context) { m.handle(c, plainNames) })
}

// Store returns the store, for work outside of requests.
func (m *Manager) Store() Store { return m.outer }

// Close ends the background work, waiting for it until the context ends, and
// closes every connection that the library has opened, but none that it was
// given. It is to be called when no requests come any more, after
// http.Server.Shutdown. Later calls return what the first did.
func (m *Manager) Close(ctx context.Context) error {
	m.close.Do(func() {
		m.stop()
		select {
		case <-m.stopped:
		case <-ctx.Done():
			m.closing = fmt.Errorf("session: close: %w", ctx.Err())
			go func() { // The connections, once nobody uses them any more.
				<-m.stopped
				if err := m.closeStore(); err != nil {
					m.report(err)
				}
			}()
			return
		}
		m.closing = m.closeStore()
	})
	return m.closing
}

func (m *Manager) closeStore() error {
	if c, ok := m.outer.(io.Closer); ok {
		if err := c.Close(); err != nil {
			return fmt.Errorf("session: close: %w", err)
		}
	}
	return nil
}

// collect removes expired sessions now and then. It starts at a random moment,
// or else a fleet of servers that was started at once would do it at once.
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
		if err := m.gc(ctx); err != nil && ctx.Err() == nil {
			m.report(err)
		}
		timer.Reset(m.opt.GCInterval)
	}
}

// gc makes an error of a panic, which would end the program: nobody is above this
// goroutine to recover it.
func (m *Manager) gc(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("session: sweep: panic: %v", p)
		}
	}()
	return m.outer.GC(ctx)
}

// mark is what records of sessions that are injected under these names say about
// where they belong, or "". Nothing need be said in the memory, which is one
// Manager's, and by clients. A Store of the application's own is left alone as long
// as one Manager uses it.
func (m *Manager) mark(as names) string {
	switch m.store.engine.(type) {
	case *recordEngine:
		return m.at
	case *foreignEngine:
		if as.extra {
			return m.at
		}
	}
	return ""
}

// reportRecord reports a record that cannot be decoded, once in a while.
func (m *Manager) reportRecord(err error) {
	if !errors.As(err, new(reportedError)) {
		m.report(fmt.Errorf("session: load: %w", err))
	}
}

func (m *Manager) newID() string { return newID(m.opt.IDLength) }

// report must not panic: it is called where nobody would catch it, or where the
// response would become a success.
func (m *Manager) report(err error) {
	defer func() {
		if p := recover(); p != nil {
			slog.Error("session: Options.ErrorFunc panicked", "panic", p, "error", err)
		}
	}()
	m.opt.ErrorFunc(err)
}

// deadline bounds a wait for the store. A store that never waits is spared it.
func (m *Manager) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if m.store.local {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, m.opt.StoreTimeout)
}

// Count returns the number of live sessions in the store, those of other servers
// included: how many people are online, as far as they have a session. Expired
// ones do not count, also before they are swept.
//
// It is exact on the memory, on files, SQLite, PostgreSQL, MySQL and MongoDB, and
// reads an index there, or the times of all sessions: fine for a page that an
// administrator looks at, too much for every page of a busy site. On Redis the
// keys are read, and the number then is kept in Redis for all servers; it is up to
// 10 seconds old, or fifty times as long as the reading took. A session counts twice
// for five minutes after its ID has changed.
//
// It waits as long as the context allows; Options.StoreTimeout does not bound it.
// A Store that is no Counter gives an error that is errors.ErrUnsupported. Count
// may be called concurrently.
func (m *Manager) Count(ctx context.Context) (int, error) {
	var keeper any = m.store.engine
	switch e := keeper.(type) {
	case *recordEngine:
		keeper = e.backend
	case *foreignEngine:
		keeper = e.Store
	}
	c, ok := keeper.(Counter)
	if !ok {
		return 0, fmt.Errorf("session: count: %w: %T has no method Count: add it, as session.Counter says", errors.ErrUnsupported, keeper)
	}
	n, err := c.Count(ctx, m.store.now())
	if err != nil {
		return 0, fmt.Errorf("session: count: %w", err)
	}
	return n, nil
}
