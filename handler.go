package session

import (
	"context"
	"net/http"
	"reflect"

	"github.com/flamego/flamego"
	"github.com/flamego/flamego/inject"
)

// Handler is a handler that Flamego calls without reflection, which is about half of
// what a session costs a request. Any func works as a handler; wrap one on a busy
// route:
//
//	f.Get("/", session.Handler(func(c flamego.Context, s session.Session) { … }))
type Handler func(c flamego.Context, s Session)

// FlashHandler is a Handler that takes the flash as well.
type FlashHandler func(c flamego.Context, s Session, flash Flash)

// HTTPHandler is a Handler that takes what a net/http handler takes.
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

// boundStore is the Store that handlers get. It knows the request's own session, and
// ends, reads and saves it as the request sees it.
type boundStore struct {
	Store
	req *request
}

// Destroy ends the request's own session with the response, as the function Destroy
// does. Any other session is deleted at once.
func (b *boundStore) Destroy(ctx context.Context, sid string) error {
	switch own, left, _ := b.req.live.txn.Is(sid); {
	case own:
		b.req.live.txn.Part()
		return nil
	case left:
		return nil // RegenerateID: the old ID ends when the session moves.
	}
	return b.Store.Destroy(ctx, sid)
}

// Exist knows the request's own session by its ID even if the client keeps it.
func (b *boundStore) Exist(ctx context.Context, sid string) bool {
	if own, _, saved := b.req.live.txn.Is(sid); own && b.req.m.core.Traits.Client {
		return saved
	}
	return b.Store.Exist(ctx, sid)
}

// Read returns the request's own session itself.
func (b *boundStore) Read(ctx context.Context, sid string) (Session, error) {
	if own, _, _ := b.req.live.txn.Is(sid); own {
		return &b.req.live, nil
	}
	return b.Store.Read(ctx, sid)
}

// Save stores the request's own session now.
func (b *boundStore) Save(ctx context.Context, sess Session) error {
	if sess == Session(&b.req.live) {
		return b.req.commit(ctx)
	}
	return b.Store.Save(ctx, sess)
}
