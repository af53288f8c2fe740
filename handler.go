package session

import (
	"context"
	"net/http"
	"reflect"

	"github.com/flamego/flamego"
	"github.com/flamego/flamego/inject"
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
