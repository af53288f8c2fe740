package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/flamego/session/internal/txn"
)

// Session is a session for the current request. The one that the library
// injects may be used by many goroutines of the request at once. Values are to
// be treated as unchangeable: whoever wants to change one sets a new one, or
// uses Update.
//
// This interface never grows, since applications implement it. Further
// abilities are functions of this package: Get, Pop, Update, Destroy, Commit,
// SetLifetime, Remember, URL.
type Session interface {
	// ID returns the session ID. Asking a session that is not stored yet makes the
	// ID final, and has the session stored at the end of the request, even if
	// nothing is set.
	ID() string
	// RegenerateID gives the session a new ID, under which it is stored with the
	// response; the old one is invalid from then on, on every server. Call it whenever
	// the rights of a user change, above all at sign-in (OWASP ASVS 5.0 7.2.4). It
	// returns an error once the response has started, since the client could not be
	// told.
	RegenerateID(w http.ResponseWriter, r *http.Request) error
	// Get returns the value of given key in the session. It returns nil if no such
	// key exists.
	Get(key interface{}) interface{}
	// Set sets the value of given key in the session. It panics if the key is of a
	// type that cannot be compared, as a map does. Keys that start with
	// "flamego::session::" are the library's own: what it keeps there can be neither
	// set nor deleted, and a commit after such a try fails.
	Set(key, val interface{})
	// SetFlash sets the flash to be the given value in the session. The next
	// request of the session gets it as session.Flash, and no other.
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

// ErrEnded says that the session was ended by another request, here or on
// another server, so that there is nothing any more to store changes in. They
// are dropped: a session that ended stays ended.
var ErrEnded = txn.ErrEnded

// Get returns the value of given key if it is of type T. Otherwise, also when
// there is no such key, it returns the zero value and false. It may be called
// concurrently, on any Session.
func Get[T any](s Session, key interface{}) (T, bool) {
	v, ok := s.Get(key).(T)
	return v, ok
}

// Pop is Get, and deletes the key if it held a T. Of two requests at the same
// time both may get the value: what must be seen once only belongs in a flash.
func Pop[T any](s Session, key interface{}) (T, bool) {
	v, ok := Get[T](s, key)
	if ok {
		s.Delete(key)
	}
	return v, ok
}

// Update sets the value of given key to what fn makes of the present one, or of
// the zero value if the key is missing or holds another type. It is atomic
// across requests and servers: when another request commits first, fn runs
// again, on the value which that one left. So fn must have no side effects, and
// must not change its argument in place, and must not call Commit.
//
// It returns the new value as this request sees it. It may be called
// concurrently; on a Session that is not of this library it is Get and Set.
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

// Destroy ends the session, as at sign-out: with the response its record is
// deleted and its cookie removed. If the record cannot be deleted the client
// gets 500. A request that still works on the session somewhere cannot bring it
// back (OWASP ASVS 5.0 7.4.1). What is set after Destroy goes into a new session
// with a new ID. A Session that is not of this library is flushed.
func Destroy(s Session) {
	l, ok := s.(*live)
	if !ok {
		s.Flush()
		return
	}
	l.use()
	l.txn.Destroy()
}

// Commit stores the session now, instead of at the first byte of the response:
// before a WebSocket takes over the connection, or in the middle of a long
// stream. It waits for the context, but no longer than Options.StoreTimeout. An
// error means that the changes are not stored; they are tried again with the
// response, unless it is ErrEnded, which says that they have nowhere to go. A
// store that fails may have done its work all the same: an Update that is tried
// again then counts twice, and a flash is dropped rather than shown twice.
//
// A new ID is told with the first byte of the response, so what needs one is an error
// after that. It may be called concurrently. A Session that is not of this library is
// left alone.
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
		return l.txn.Commit(ctx)
	}
}

var errRotateLate = errors.New("session: regenerate ID: the response has started, so the client can't be told: call it before writing")

// live is a Session of this library, in use by a request or by a caller of
// Store.Read. The transaction is hidden in it, so that no type assertion reaches more
// than a Session.
type live struct {
	txn   txn.Session
	store *store
	req   *request // nil outside of a request
}

var _ Session = (*live)(nil)

// use notes that a handler looked at the session: the response depends on the cookie.
func (l *live) use() {
	if l.req != nil && !l.req.used.Load() {
		l.req.used.Store(true)
	}
}

func (l *live) ID() string {
	l.use()
	return l.txn.ID()
}

func (l *live) RegenerateID(_ http.ResponseWriter, r *http.Request) error {
	l.use()
	if l.req != nil && l.req.x.begun.Load() {
		return errRotateLate
	}
	return l.txn.Rotate(func(at *txn.Version) (string, error) {
		if e, ok := l.store.core.Engine.(idChooser); ok && at != nil {
			return e.chooseID(at, r)
		}
		return l.host().NewID(), nil
	})
}

// idChooser is an engine whose sessions choose their new IDs themselves.
type idChooser interface {
	chooseID(at *txn.Version, r *http.Request) (string, error)
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

func (l *live) Encode() ([]byte, error) { return l.txn.Encode() }

func (l *live) HasChanged() bool { return l.txn.Changed() }
