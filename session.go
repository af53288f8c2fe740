package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/flamego/session/internal/txn"
)

// Session is the session of the current request. Many goroutines of the request may
// use the one that the library injects at once. Treat values as immutable: to change
// one, set a new one, or use Update.
//
// This interface never grows, since applications implement it. Everything else is a
// function of this package: Get, Pop, Take, Update, Destroy, Commit, Refresh, Expires,
// SetLifetime, Remember, AddFlash, Flashes, URL.
type Session interface {
	// ID returns the session ID. If the session is not stored yet, this makes the ID
	// final, and the session is stored with the response even if nothing is set.
	ID() string
	// RegenerateID gives the session a new ID, under which it is stored with the
	// response; the old one is then invalid on every server. Call it whenever a
	// user's privileges change, above all at sign-in (OWASP ASVS 5.0 7.2.4). It
	// returns an error once the response has started, since the client could not be
	// told.
	RegenerateID(w http.ResponseWriter, r *http.Request) error
	// Get returns the value of given key in the session. It returns nil if no such
	// key exists, or if its value cannot be decoded, which Options.ErrorFunc hears of.
	Get(key interface{}) interface{}
	// Set sets the value of given key in the session. It panics if the key is of a
	// type that cannot be compared, as a map does. Keys that start with
	// "flamego::session::" are the library's own: what it keeps there can be neither
	// set nor deleted, and a commit after such an attempt fails.
	Set(key, val interface{})
	// SetFlash sets the flash to be the given value in the session. It is delivered
	// at most once, as session.Flash, to the next request of the session, or to the next
	// one that Options.TakesFlash chooses.
	SetFlash(val interface{})
	// Delete deletes a key from the session.
	Delete(key interface{})
	// Flush wipes out all existing data in the session. The session itself stays;
	// to end it, use Destroy.
	Flush()
	// Encode encodes session data to binary.
	Encode() ([]byte, error)
	// HasChanged returns whether the session has changed.
	HasChanged() bool
}

// ErrEnded says that another request, here or on another server, has ended the
// session. The changes are dropped: an ended session stays ended.
var ErrEnded = txn.ErrEnded

// ErrTooLarge says that a session would be larger than Options.MaxSize allows.
var ErrTooLarge = txn.ErrTooLarge

// Get returns the value of given key if it is of type T. Otherwise, or if there is
// no such key, it returns the zero value and false. It may be called concurrently,
// on any Session.
func Get[T any](s Session, key interface{}) (T, bool) {
	v, ok := s.Get(key).(T)
	return v, ok
}

// Pop is Get, and deletes the key if it held a T. Two concurrent requests may both
// get the value: for what only one may get there is Take.
func Pop[T any](s Session, key interface{}) (T, bool) {
	v, ok := Get[T](s, key)
	if ok {
		s.Delete(key)
	}
	return v, ok
}

// Take removes a key for good, and returns the value if it is of type T. Of all requests
// that ask for it at the same time, on any server, exactly one gets it: for one-time
// codes and invitations, which Pop could hand out twice. If there is no such key, or
// another request has taken it, or it holds another type, Take returns false.
//
// It stores the session now, as Commit does, with what is pending first: if that fails,
// nothing is taken. The value is returned only when its removal is certainly stored.
// After an error nobody else gets it twice either: it may still be there, or it may be
// lost. A value that cannot be decoded is an error, and stays. ErrEnded means that the session has ended.
//
// A value that is set again can be taken again, so hand out a code only when the
// Commit, or the response, that stores it has succeeded. Take sees the session as this
// request does: what another has set since is there after Refresh.
//
// It waits until the context ends, but no longer than Options.StoreTimeout. It may be
// called concurrently. With package cookie it is an error, since a client can present
// an old copy again, and so it is with a Session from outside this library. With a
// Store of your own it holds within one process.
func Take[T any](ctx context.Context, s Session, key any) (T, bool, error) {
	var none T
	l, ok := s.(*live)
	if !ok {
		return none, false, fmt.Errorf("session: take: a %T can't promise that nobody else gets the value: use the Session of the middleware", s)
	}
	l.use()
	ctx, cancel, err := l.reach(ctx)
	if err != nil {
		return none, false, fmt.Errorf("session: take: %w", err)
	}
	defer cancel()
	val, err := l.txn.Take(ctx, key, func(val any) bool { _, ok := val.(T); return ok })
	if err != nil {
		return none, false, fmt.Errorf("session: take: %w", err)
	}
	v, ok := val.(T)
	return v, ok, nil
}

// Update sets the value of given key to fn of the current value, or of the zero value
// if the key is missing or holds another type. It is atomic across requests and
// servers: if another request commits first, fn runs again, on the value that request
// left. So fn must have no side effects, must not change its argument in place, and must
// not call Commit. It may use other keys of the session; it panics if it changes its own.
//
// It returns the new value as this request sees it. If the value cannot be decoded, as of
// a type that only another version of the program knows, fn does not run, and the session
// cannot be stored: the client gets 500, rather than a value that starts from nothing. It
// may be called concurrently. On a Session from outside this library it is Get and Set.
func Update[T any](s Session, key interface{}, fn func(T) T) T {
	step := func(old any) any {
		v, _ := old.(T)
		return fn(v)
	}
	if l, ok := s.(*live); ok {
		l.use()
		v, _ := l.txn.Update(key, step).(T)
		return v
	}
	v, _ := step(s.Get(key)).(T)
	s.Set(key, v)
	return v
}

// Destroy ends the session, as at sign-out: its record is deleted and its cookie
// removed with the response. If the record cannot be deleted, the client gets 500. A
// request that is still working on the session cannot bring it back (OWASP ASVS 5.0
// 7.4.1). What is set after Destroy goes into a new session with a new ID. A Session
// from outside this library is flushed.
func Destroy(s Session) {
	l, ok := s.(*live)
	if !ok {
		s.Flush()
		return
	}
	l.use()
	l.txn.Destroy()
}

// Commit stores the session now, not just before the first byte of the response: for
// example before a WebSocket takes over the connection, or in the middle of a long
// stream. It waits until the context ends, but no longer than Options.StoreTimeout.
//
// An error means that the changes are not stored. They are retried with the response,
// except after ErrEnded, when they are dropped. A store that fails may still have done
// the work: an Update that is retried then counts twice, and a flash is dropped rather
// than shown twice.
//
// Commit does not write the cookie. The header line with a new ID is written once,
// just before the first byte of the response, which waits for a commit under way;
// after that, a change that needs a new ID is an error. Commit may be called
// concurrently. It does nothing to a Session from outside this library.
func Commit(ctx context.Context, s Session) error {
	l, ok := s.(*live)
	switch {
	case !ok:
		return nil
	case l.req != nil:
		return l.req.commit(ctx)
	case l.store.core.Traits.Client:
		return fmt.Errorf("session: commit: %w", errInClient)
	default:
		ctx, cancel := l.store.within(ctx, l.store.timeout)
		defer cancel()
		return l.txn.Commit(ctx)
	}
}

var (
	errRotateLate  = errors.New("the response has started, so the client cannot be told the new ID: call it before writing")
	errEditRotates = errors.New("session: regenerate ID: Edit has no client that could be told the new ID: call it in a request of the session")
)

// live is a Session of this library, in use by a request or by a caller of
// Store.Read. It hides the transaction, so that a type assertion reaches nothing but
// a Session.
type live struct {
	txn   txn.Session
	store *store
	req   *request // nil outside of a request

	shown   atomic.Pointer[flashes]
	outside bool // in Edit
}

var _ Session = (*live)(nil)

// use notes that a handler used the session: the response depends on the cookie.
func (l *live) use() {
	if l.req != nil && !l.req.used.Load() {
		l.req.used.Store(true)
	}
}

var errOnlyCopy = errors.New("the client keeps the session, and has the only copy, or several: use a store on the server")

// reach bounds a wait for the store, if that can be asked at all.
func (l *live) reach(ctx context.Context) (context.Context, context.CancelFunc, error) {
	switch {
	case l.store.core.Traits.Client:
		return nil, nil, errOnlyCopy
	case l.req == nil:
		ctx, cancel := l.store.within(ctx, l.store.timeout)
		return ctx, cancel, nil
	case l.req.x.closed.Load():
		return nil, nil, errors.New("the request has failed, so nothing more is stored")
	}
	ctx, cancel := l.req.m.deadline(ctx)
	return ctx, cancel, nil
}

func (l *live) ID() string {
	l.use()
	return l.txn.ID()
}

func (l *live) RegenerateID(_ http.ResponseWriter, r *http.Request) error {
	l.use()
	if l.outside {
		return errEditRotates
	}
	if l.req != nil && l.req.x.begun.Load() {
		return fmt.Errorf("session: regenerate ID: %w", errRotateLate)
	}
	e, ok := l.store.core.Engine.(idChooser)
	if !ok {
		return l.txn.Rotate(l.host().NewID())
	}
	ctx := r.Context()
	if l.req != nil {
		var cancel context.CancelFunc
		ctx, cancel = l.req.m.deadline(ctx)
		defer cancel()
	}
	return l.txn.RotateBy(ctx, func(at *txn.Version) (string, error) {
		id := l.host().NewID()
		if at == nil {
			return id, nil
		}
		return e.chooseID(at, r, len(id))
	})
}

// idChooser is an engine whose sessions choose their new IDs themselves.
type idChooser interface {
	chooseID(at *txn.Version, r *http.Request, length int) (string, error)
}

func (l *live) host() txn.Host {
	if l.req != nil {
		return l.req
	}
	return l.store
}

func (l *live) Get(key interface{}) interface{} {
	l.use()
	return l.txn.Get(key)
}

func (l *live) Set(key, val interface{}) {
	l.use()
	l.txn.Set(key, val)
}

func (l *live) SetFlash(val interface{}) {
	l.use()
	l.txn.Set(txn.FlashKey, val)
}

func (l *live) Delete(key interface{}) {
	l.use()
	l.txn.Delete(key)
}

func (l *live) Flush() {
	l.use()
	l.txn.Flush()
}

func (l *live) Encode() ([]byte, error) {
	l.use()
	return l.txn.Encode()
}

func (l *live) HasChanged() bool {
	l.use()
	return l.txn.Changed()
}
