package carry

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
)

const failureText = "Internal Server Error\n"

// gate stands between Flamego's writer and the connection once a commit has
// failed while the response was about to start. The handler still believes in
// its answer: the gate sends 500 in its place, and swallows the rest.
type gate struct {
	inner  http.ResponseWriter
	unseen http.Header
	keep   func(http.ResponseWriter)
	sent   bool
}

// CloseGate may be called in a Before hook, where nothing may be written: what
// Flamego's writer does next then goes through the gate, which answers 500 with what
// keep puts in.
func CloseGate(w http.ResponseWriter, keep func(http.ResponseWriter)) error {
	field, err := InnerWriter(w)
	if err != nil {
		return err
	}
	inner := field.Interface().(http.ResponseWriter)
	field.Set(reflect.ValueOf(&gate{inner: inner, unseen: make(http.Header), keep: keep}))
	return nil
}

// InnerWriter returns the embedded, exported field that Flamego's writer sends
// through. It is looked at once at start, so that a version of Flamego that has
// it no more is found out before the first failure.
func InnerWriter(w http.ResponseWriter) (reflect.Value, error) {
	v := reflect.ValueOf(w)
	if v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct {
		field := v.Elem().FieldByName("ResponseWriter")
		if field.IsValid() && field.CanSet() && field.Type() == reflect.TypeFor[http.ResponseWriter]() {
			return field, nil
		}
	}
	return reflect.Value{}, fmt.Errorf("the response writer %T has no settable field ResponseWriter: use a version of flamego that this package was tested with", w)
}

// Header is not the header that is sent: trailers would come after the body.
func (g *gate) Header() http.Header { return g.unseen }

func (g *gate) WriteHeader(int) {
	if !g.sent {
		g.sent = true
		SendFailure(g.inner, g.keep)
	}
}

func (g *gate) Write(b []byte) (int, error) {
	g.WriteHeader(0)
	return len(b), nil
}

func (g *gate) Flush() {
	g.WriteHeader(0)
	if f, ok := g.inner.(http.Flusher); ok {
		f.Flush()
	}
}

func (g *gate) Push(string, *http.PushOptions) error {
	return errors.New("session: the session was not stored")
}

// DropTrailers is for a handler that took the header of its response before it
// failed, and goes on putting in what would follow the body.
func DropTrailers(w http.ResponseWriter) {
	field, err := InnerWriter(w)
	if err != nil {
		return
	}
	var inner http.ResponseWriter // Behind all gates, if there is one.
	for g, ok := field.Interface().(*gate); ok; g, ok = inner.(*gate) {
		inner = g.inner
	}
	if inner == nil {
		return
	}
	h := inner.Header()
	for name := range h {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			delete(h, name)
		}
	}
}

// SendFailure answers 500 with none of what the handler prepared. What holds all
// the same is put in by keep.
func SendFailure(w http.ResponseWriter, keep func(http.ResponseWriter)) {
	h := w.Header()
	for name := range h {
		if !isPolicy(name) {
			delete(h, name)
		}
	}
	if keep != nil {
		keep(w)
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(failureText)))
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = w.Write([]byte(failureText))
}

// isPolicy tells the headers that a failure keeps: what other middleware says of
// every response, without which a browser could not even read the status.
func isPolicy(name string) bool {
	if strings.HasPrefix(name, "Access-Control-") || strings.HasPrefix(name, "Cross-Origin-") {
		return true
	}
	switch name {
	case "Vary", "Strict-Transport-Security", "Content-Security-Policy",
		"X-Frame-Options", "Referrer-Policy", "Permissions-Policy":
		return true
	}
	return false
}
