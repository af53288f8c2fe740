package session

import (
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
