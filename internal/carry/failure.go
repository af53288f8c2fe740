package carry

import (
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/flamego/flamego"
)

const failureText = "Internal Server Error\n"

// Slot is where Flamego's writer keeps the writer that it sends through.
type Slot struct{ p *http.ResponseWriter }

// Get returns that writer.
func (s Slot) Get() http.ResponseWriter { return *s.p }

// Set puts another writer in its place.
func (s Slot) Set(w http.ResponseWriter) { *s.p = w }

// slotted is the type of Flamego's writer if its first field, which is embedded, is the
// writer that it sends through. Otherwise it is nil.
var slotted = func() reflect.Type {
	t := reflect.TypeOf(flamego.NewResponseWriter(http.MethodGet, nil))
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct || t.Elem().NumField() == 0 {
		return nil
	}
	if f := t.Elem().Field(0); !f.IsExported() || f.Type != reflect.TypeFor[http.ResponseWriter]() {
		return nil
	}
	return t
}()

// FindSlot finds it. It is also called at start, so that a version of Flamego without
// it is noticed before the first request.
func FindSlot(w http.ResponseWriter) (Slot, error) {
	if slotted == nil || reflect.TypeOf(w) != slotted {
		return Slot{}, fmt.Errorf("the response writer %T has no settable field ResponseWriter: use a version of flamego that this package was tested with", w)
	}
	// A pointer to a struct points to its first field. Reflection's way from the one to the
	// other takes a tenth of the middleware's time for a visitor without a session.
	return Slot{(*http.ResponseWriter)(reflect.ValueOf(w).UnsafePointer())}, nil
}

// DropTrailers removes trailers that a handler has put into a header that it took before
// storing failed.
func DropTrailers(h http.Header) {
	for name := range h {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			delete(h, name)
		}
	}
}

// SendFailure sends 500 without what the handler prepared. keep adds header lines that
// still hold.
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

// isPolicy reports whether a failure keeps the header: other middleware sets it on every
// response, and without it a browser might not even be able to read the status.
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
