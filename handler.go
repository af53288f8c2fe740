package session

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/flamego/flamego"
	"github.com/flamego/flamego/inject"

	"github.com/flamego/session/internal/share"
)

// Handler is a handler that Flamego calls without reflection, which saves about half of what a
// session costs a request. Any func works as a handler; convert one to Handler on a busy
// route:
//
//	f.Get("/", session.Handler(func(c flamego.Context, s session.Session) { … }))
type Handler func(c flamego.Context, s Session)

// FlashHandler is a Handler that also takes the flash.
type FlashHandler func(c flamego.Context, s Session, flash Flash)

// HTTPHandler is a Handler with the parameters of a net/http handler and the session.
type HTTPHandler func(w http.ResponseWriter, r *http.Request, s Session)

var (
	_ inject.FastInvoker = Handler(nil)
	_ inject.FastInvoker = FlashHandler(nil)
	_ inject.FastInvoker = HTTPHandler(nil)
)

// Invoke implements inject.FastInvoker.
func (h Handler) Invoke(args []interface{}) ([]reflect.Value, error) {
	h(args[0].(flamego.Context), args[1].(Session))
	return nil, nil
}

// Invoke implements inject.FastInvoker.
func (h FlashHandler) Invoke(args []interface{}) ([]reflect.Value, error) {
	h(args[0].(flamego.Context), args[1].(Session), args[2])
	return nil, nil
}

// Invoke implements inject.FastInvoker.
func (h HTTPHandler) Invoke(args []interface{}) ([]reflect.Value, error) {
	h(args[0].(http.ResponseWriter), args[1].(*http.Request), args[2].(Session))
	return nil, nil
}

// boundStore is the Store that handlers get: the request itself, which knows its own session,
// and ends, reads and saves it as the request sees it.
type boundStore request

var _ Store = (*boundStore)(nil)

// Touch implements Store.
func (b *boundStore) Touch(ctx context.Context, sid string) error { return b.m.outer.Touch(ctx, sid) }

// GC implements Store.
func (b *boundStore) GC(ctx context.Context) error { return b.m.outer.GC(ctx) }

// Destroy ends the request's own session with the response, as the function Destroy
// does. Any other session is deleted at once.
func (b *boundStore) Destroy(ctx context.Context, sid string) error {
	switch own, left, _ := b.live.txn.Is(sid); {
	case own:
		b.live.txn.DestroyKeepingChanges()
		return nil
	case left:
		return nil // RegenerateID: the old ID ends when the session moves.
	}
	return b.m.outer.Destroy(ctx, sid)
}

// Exist recognizes the request's own session by its ID even if the client keeps it.
func (b *boundStore) Exist(ctx context.Context, sid string) bool {
	if own, _, saved := b.live.txn.Is(sid); own && b.m.core.Traits.Client {
		return saved
	}
	return b.m.outer.Exist(ctx, sid)
}

// Read returns the request's own session itself.
func (b *boundStore) Read(ctx context.Context, sid string) (Session, error) {
	if own, _, _ := b.live.txn.Is(sid); own {
		return &b.live, nil
	}
	return b.m.outer.Read(ctx, sid)
}

// Save stores the request's own session now.
func (b *boundStore) Save(ctx context.Context, sess Session) error {
	if sess == Session(&b.live) {
		return (*request)(b).commit(ctx)
	}
	return b.m.outer.Save(ctx, sess)
}

// injection holds the types under which a middleware injects its services.
type injection struct {
	session, flash reflect.Type
	noFlash        reflect.Value
	extra          bool // of SessionerAs: Store and *Manager are not injected
}

var (
	managerType = reflect.TypeFor[*Manager]()
	storeType   = reflect.TypeFor[Store]()
	contextType = reflect.TypeFor[flamego.Context]()
	ordinary    = newInjection(reflect.TypeFor[Session](), reflect.TypeFor[Flash](), false)
)

func newInjection(session, flash reflect.Type, extra bool) *injection {
	return &injection{session: session, flash: flash, noFlash: reflect.Zero(flash), extra: extra}
}

// inject gives handlers what they may take as parameters.
func (q *request) inject(flash any) {
	c := q.c
	// Values of the interface types themselves: for any other type, a call by reflection
	// checks all methods of the interface, which takes as long as the rest of the call. The
	// same applies to the Context, which most handlers also take.
	c.Set(q.as.session, reflect.ValueOf(&q.session).Elem())
	c.Set(contextType, reflect.ValueOf(&q.c).Elem())
	if flash != nil {
		c.Set(q.as.flash, reflect.ValueOf(flash))
	} else {
		// Not MapTo: for a nil in the map, the injector looks for anything that implements
		// the empty interface, and passes some other service.
		c.Set(q.as.flash, q.as.noFlash)
	}
	if q.as.extra {
		return
	}
	c.Set(managerType, reflect.ValueOf(q.m))
	if q.m.outer == Store(q.m.store) {
		c.Set(storeType, reflect.ValueOf(&q.store).Elem())
		return
	}
	// A Store of the application's own is injected as it is: handlers may take its own type.
	c.Set(storeType, reflect.ValueOf(q.m.outer))
	c.Map(q.m.outer)
}

// beyond returns a context for work that continues even if the client disconnects.
func (q *request) beyond() (context.Context, context.CancelFunc) {
	if q.m.core.Traits.Local {
		return (*lasting)(q), func() {}
	}
	return q.m.store.deadline(share.Patient(q.x.r.Context()))
}

// lasting returns the request's context without its cancellation, for an engine that never
// waits.
type lasting request

func (l *lasting) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }
func (l *lasting) Done() <-chan struct{}                   { return nil }
func (l *lasting) Err() error                              { return nil }
func (l *lasting) Value(key any) any                       { return l.x.r.Context().Value(key) }

// onDemand returns the context of a load, created on first use: requests without an ID need
// none.
type onDemand struct {
	q      *request
	ctx    context.Context
	cancel context.CancelFunc
}

func (o *onDemand) context() context.Context {
	if o.ctx == nil {
		o.ctx, o.cancel = o.q.beyond()
	}
	return o.ctx
}

func (o *onDemand) end() {
	if o.cancel != nil {
		o.cancel()
	}
}

type contextKey struct{}

// InContext is a handler that puts the session into the request's context, where From finds
// it. Use it after the Sessioner and before an http.Handler that needs the session, or before
// middleware written for net/http:
//
//	f.Get("/report", session.InContext, report.ServeHTTP)
//
// It copies the request, so the Sessioner does not do it for every route.
func InContext(c flamego.Context, s Session) {
	r := c.Request().Request
	r = r.WithContext(context.WithValue(r.Context(), contextKey{}, s))
	c.Request().Request = r
	c.Map(r)
}

// From returns the session of a request that has passed InContext, or nil. It is the same
// Session that handlers take as a parameter, and is found in every request whose context
// derives from that request's context. From may be called concurrently.
func From(r *http.Request) Session {
	s, _ := r.Context().Value(contextKey{}).(Session)
	return s
}
