package carry

import (
	"fmt"
	"io"
	"maps"
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
// storing failed, but not those from before.
func DropTrailers(h, before http.Header) {
	for name := range h {
		if strings.HasPrefix(name, http.TrailerPrefix) && before[name] == nil {
			delete(h, name)
		}
	}
}

var writerType = reflect.TypeFor[http.ResponseWriter]()

// Before returns a copy of the header as those in front of the middleware have left it, or
// nil if it is empty. A failure keeps it: they set it on every response, and without it a
// browser might not even be able to read the status. If one of them has handlers write to
// another writer, that is who encodes. A failure does not pass there, and is not encoded.
func Before(c flamego.Context, h http.Header) http.Header {
	if len(h) == 0 {
		return nil
	}
	h = maps.Clone(h)
	if h["Content-Encoding"] != nil && c.Value(writerType).Interface() != any(c.ResponseWriter()) {
		delete(h, "Content-Encoding")
	}
	return h
}

// Draft is the application's response to a failure. It is sent when whoever writes it is
// through, so that nothing is sent if that one panics.
type Draft struct {
	header http.Header
	status int
	body   []byte
}

var _ http.ResponseWriter = (*Draft)(nil)

// NewDraft returns an empty one on top of the header from before.
func NewDraft(before http.Header) *Draft {
	d := &Draft{header: before.Clone()}
	if d.header == nil {
		d.header = make(http.Header)
	}
	return d
}

// Header implements http.ResponseWriter.
func (d *Draft) Header() http.Header { return d.header }

// WriteHeader implements http.ResponseWriter. Informational responses are left out.
func (d *Draft) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status)) // As net/http does, but in time.
	}
	if d.status == 0 && status >= 200 {
		d.status = status
	}
}

// Write implements http.ResponseWriter. Without a status, a failure is no success.
func (d *Draft) Write(b []byte) (int, error) {
	d.WriteHeader(http.StatusInternalServerError)
	d.body = append(d.body, b...)
	return len(b), nil
}

// SendFailure sends the draft, if that has anything, or else a plain 500, with the header
// from before the handlers. keep adds header lines that still hold.
func SendFailure(w http.ResponseWriter, before http.Header, d *Draft, keep func(http.ResponseWriter)) {
	if d == nil || d.status == 0 {
		d = NewDraft(before)
		d.header.Set("Content-Type", "text/plain; charset=utf-8")
		d.header.Set("X-Content-Type-Options", "nosniff")
		_, _ = io.WriteString(d, failureText)
	}
	h := w.Header()
	clear(h)
	maps.Copy(h, d.header)
	if keep != nil {
		keep(w)
	}
	NoStore(h, new(Room))
	switch {
	case before["Content-Encoding"] != nil:
		h.Del("Content-Length") // Somebody in front encodes what is sent.
	case len(d.body) > 0:
		h.Set("Content-Length", strconv.Itoa(len(d.body)))
	}
	w.WriteHeader(d.status)
	if len(d.body) > 0 {
		_, _ = w.Write(d.body)
	}
}
