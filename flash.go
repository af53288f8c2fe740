package session

import (
	"sync"

	"github.com/flamego/session/internal/txn"
)

// Flash is the value that an earlier request of the session left with SetFlash, or nil, as
// it is in a request that Options.TakesFlash does not choose. A handler takes it as a
// parameter. It is delivered at most once: of all requests that
// arrive at the same time, on any server, one gets it, and if that response is lost, so
// is the flash.
//
// What AddFlash left is a []any, also if it is a single value; the function Flashes
// returns the same list in either case.
//
// Before you map it to a type of your own, check that it is not nil: for MapTo(nil, …)
// Flamego passes some other service.
type Flash interface{}

// AddFlash adds a flash for the session's next request, after those that are there:
// what this request, or one at the same time on any server, has left with AddFlash or
// SetFlash. A later SetFlash replaces them all. nil is not added.
//
// Each is delivered at most once. If the store's answer is lost, so that nobody knows
// whether a flash is stored, it is lost rather than shown twice. Each value may be of
// any type that Set takes. AddFlash may be called concurrently. On a Session from
// outside this library it is Get and SetFlash.
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

// Flashes returns what this request shows: the flashes that it got from the session, in
// the order in which they were added, and then those of FlashNow. What SetFlash left is
// a list of one. Every call in a request returns them all. It may be called
// concurrently. For a Session that is not that of a request it returns what FlashNow
// was given, and nil for one from outside this library.
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

// FlashNow adds a flash for this very request, as after a form that was not filled in
// right: Flashes returns it. It is not stored, and makes no session. nil is not added.
// It may be called concurrently. It does nothing to a Session from outside this
// library.
func FlashNow(s Session, val any) {
	if l, ok := s.(*live); ok && val != nil {
		f := l.flashes()
		f.mu.Lock()
		defer f.mu.Unlock()
		f.now = append(f.now, val)
	}
}

// KeepFlash passes on what this request got from the session to the next request, as
// when it only redirects. It comes in front of what has been added for that one; without
// any such, what SetFlash left stays the value that it is. A later SetFlash replaces it.
// What FlashNow added is not passed on. Only the first call in a request counts. It may
// be called concurrently. It does nothing to a Session from outside this library.
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

// flashes are what one request shows.
type flashes struct {
	mu   sync.Mutex
	got  any // what was in the record
	now  txn.Flashes
	kept bool // got is passed on
}

// flashes returns the flashes of the request. They are made when they are first needed,
// since most requests have none.
func (l *live) flashes() *flashes {
	if f := l.shown.Load(); f != nil {
		return f
	}
	l.shown.CompareAndSwap(nil, &flashes{})
	return l.shown.Load()
}

// take keeps the flash that the request has got, and returns it as handlers get it.
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
