package session

import (
	"net/http"
	"strings"
	"sync"

	"github.com/flamego/session/internal/txn"
)

// Flash is the value that an earlier request of the session left with SetFlash, or nil.
// Handlers take it as a parameter. It is delivered at most once: of all requests that arrive
// at the same time, on any server, one gets it, and if that response is lost, so is the flash.
// It is nil in requests that Options.TakesFlash does not select.
//
// The flashes left by AddFlash arrive as a []any, even a single one. The function Flashes
// returns a list in either case.
//
// Before you map it to a type of your own, check that it is not nil: given MapTo(nil, …),
// Flamego passes some other service.
type Flash interface{}

// AddFlash adds a flash for the session's next request. It goes after those that are there
// already, left with AddFlash or SetFlash by this request or by a concurrent one on any
// server. A later SetFlash replaces them all. nil is not added.
//
// Each flash is delivered at most once. If the store's answer is lost, so that it is unknown
// whether a flash was stored, the flash is dropped rather than shown twice. A value may be of
// any type that Set accepts. AddFlash may be called concurrently. On another implementation of
// Session it is Get followed by SetFlash.
func AddFlash(s Session, val any) {
	switch l, ok := s.(*live); {
	case val == nil:
	case ok:
		l.use()
		l.txn.AddFlash(val)
	default:
		s.SetFlash(txn.Join(txn.FlashList(s.Get(txn.FlashKey)), txn.Flashes{val}))
	}
}

func updateFlash(s Session, fn func(old any) any) {
	if l, ok := s.(*live); ok {
		l.use()
		l.txn.Update(txn.FlashKey, fn)
		return
	}
	s.SetFlash(fn(s.Get(txn.FlashKey)))
}

// Flashes returns what this request should show: the flashes it received from the session, in
// the order in which they were added, followed by those of FlashNow. A value left with
// SetFlash is a list of one. Every call within a request returns the same flashes. It may be
// called concurrently. For a Session outside of a request it returns only those of FlashNow,
// and for another implementation of Session nil.
func Flashes(s Session) []any {
	l, ok := s.(*live)
	if !ok {
		return nil
	}
	l.use()
	f := l.flashes()
	f.mu.Lock()
	defer f.mu.Unlock()
	return txn.Join(txn.FlashList(f.got), f.now)
}

// FlashNow adds a flash to the current request, for example to show a form again with an error
// message: Flashes returns it. It is not stored, and creates no session. nil is not added. It
// may be called concurrently. On another implementation of Session it does nothing.
func FlashNow(s Session, val any) {
	if l, ok := s.(*live); ok && val != nil {
		f := l.flashes()
		f.mu.Lock()
		defer f.mu.Unlock()
		f.now = append(f.now, val)
	}
}

// KeepFlash passes the flashes that this request received on to the next one, for example when
// this request only redirects. They go before any that have been added for the next request;
// if there are none, a value left with SetFlash keeps its type. A later SetFlash replaces
// them. Flashes of FlashNow are not passed on. Only the first call in a request has an effect.
// It may be called concurrently. On another implementation of Session it does nothing.
func KeepFlash(s Session) {
	l, ok := s.(*live)
	if !ok {
		return
	}
	f := l.flashes()
	f.mu.Lock()
	got, again := f.got, f.kept
	f.kept = true
	f.mu.Unlock()
	if got == nil || again {
		return
	}
	updateFlash(s, func(old any) any {
		if old == nil {
			return got
		}
		return txn.Join(txn.FlashList(got), txn.FlashList(old))
	})
}

// flashes holds what one request shows.
type flashes struct {
	mu   sync.Mutex
	got  any // what was in the record
	now  txn.Flashes
	kept bool // got is passed on
}

// flashes returns the flashes of the request. They are created on first use, since most
// requests have none.
func (l *live) flashes() *flashes {
	if f := l.shown.Load(); f != nil {
		return f
	}
	l.shown.CompareAndSwap(nil, &flashes{})
	return l.shown.Load()
}

// take keeps the flash that the request received, and returns it as handlers get it.
func (l *live) take(got any) any {
	if got == nil {
		return nil
	}
	l.flashes().got = got
	if list, ok := got.(txn.Flashes); ok {
		return []any(txn.Join(list, nil))
	}
	return got
}

// Navigation reports whether a person will see the response to r as a page. It is a rule for
// Options.TakesFlash. It is true for a GET by which a browser tab loads a page. It is false
// for a prefetched page, a request by a script, such as a poll or a stream, a WebSocket, an
// image, and a frame within a page.
//
// Browsers send this in Sec-Fetch-Mode and Sec-Fetch-Dest, except over plain HTTP and in old
// versions. Without these headers, an Accept that names text/html decides.
//
// If scripts fetch whole pages, as Turbo and htmx do, or the site is shown in a frame of
// another site, combine it with a rule of your own:
//
//	TakesFlash: func(r *http.Request) bool {
//		return session.Navigation(r) || r.Header.Get("HX-Boosted") == "true"
//	},
func Navigation(r *http.Request) bool {
	h := r.Header
	if r.Method != http.MethodGet || h.Get("Upgrade") != "" || isAhead(h) {
		return false
	}
	if mode, dest := h.Get("Sec-Fetch-Mode"), h.Get("Sec-Fetch-Dest"); mode != "" || dest != "" {
		return (mode == "" || mode == "navigate") && (dest == "" || dest == "document")
	}
	return h.Get("X-Requested-With") == "" && strings.Contains(strings.ToLower(strings.Join(h["Accept"], ",")), "text/html")
}

// isAhead reports whether the browser fetches the page ahead of a visit that may never come.
// Different browsers use different headers.
func isAhead(h http.Header) bool {
	for _, name := range [...]string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		for _, line := range h[name] {
			line = strings.ToLower(line)
			if strings.Contains(line, "prefetch") || strings.Contains(line, "prerender") || strings.Contains(line, "preview") {
				return true
			}
		}
	}
	return false
}
