package carry

import (
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
)

const failureText = "Internal Server Error\n"

// Inner returns the place where Flamego's writer keeps the writer that it sends
// through. It is looked for once at start, so that a version of Flamego that has it no
// more is found out before the first request.
func Inner(w http.ResponseWriter) (*http.ResponseWriter, error) {
	v := reflect.ValueOf(w)
	if v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct {
		// The first field, as it is embedded. To look for its name would take longer.
		if v = v.Elem(); v.NumField() > 0 && v.Field(0).CanSet() {
			if inner, ok := v.Field(0).Addr().Interface().(*http.ResponseWriter); ok {
				return inner, nil
			}
		}
	}
	return nil, fmt.Errorf("the response writer %T has no settable field ResponseWriter: use a version of flamego that this package was tested with", w)
}

// DropTrailers is for a handler that took the header of its response before it
// failed, and goes on putting in what would follow the body.
func DropTrailers(h http.Header) {
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
