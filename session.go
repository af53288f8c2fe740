// Package session is session middleware for the Flamego web framework.
//
//	f := flamego.Classic()
//	f.Use(session.Sessioner())
//	f.Post("/signin", func(c flamego.Context, s session.Session) error {
//		if err := s.RegenerateID(c.ResponseWriter(), c.Request().Request); err != nil {
//			return err
//		}
//		s.Set("userID", 123)
//		return nil
//	})
//	f.Get("/", func(s session.Session) string {
//		id, ok := session.Get[int](s, "userID")
//		...
//	})
//
// Handlers after the middleware may take a Session, the Flash of the previous request, the
// Store, or the *Manager as a parameter. A func of type Handler, FlashHandler or HTTPHandler
// is called without reflection. Without options, sessions are kept in memory. Options select
// another store, such as files (FileIniter) or SQLite (package sqlite), and everything else.
//
// # Life of a session
//
// Sessions are created lazily: a visitor has no session, no record and no cookie until a
// handler sets something or asks for the ID. Changes are stored just before the first byte of
// the response leaves, so that a client that follows a redirect finds them on any server. If
// they cannot be stored, the client gets 500 in place of the handler's response. Changes made
// after the first byte are stored when the handler returns, or with Commit. A handler that
// panics changes nothing. Call RegenerateID at sign-in, to move the session to a new ID, and
// Destroy at sign-out, to end it for good.
//
// # Expiry
//
// A session has an idle timeout: the Lifetime in its store's Config, one hour by default. It
// ends up to 5 % later than that. Expiration is sliding: a record is stored with a twentieth
// more than the Lifetime, so an access writes only when less than a Lifetime is left.
// SetLifetime gives one session another idle timeout. Options.AbsoluteLifetime is the absolute
// timeout: it ends every session that long after it began, however busy it is. Expired
// sessions cannot be read; their records are removed every Options.GCInterval. The cookie ends
// with the browser, unless CookieOptions.MaxAge is set or Remember was called for the session
// ("stay signed in"). Requests that Options.Passive reports, such as polls, do not count as
// activity. A WebSocket or a stream keeps its session alive with Refresh; Expires tells when
// it ends.
//
// # Outside of requests
//
// Manager.Edit changes any session by its ID. Its changes merge with those of the session's
// own requests.
//
// # Transports
//
// A cookie carries the ID, unless Options.Transport is a header (HeaderTransport), the Bearer
// scheme of Authorization (BearerTransport), a URL parameter (QueryTransport), or the first of
// several (FirstOf). IDs are read from nowhere else. URL puts the ID into the URLs of pages
// and redirects; TemplateFuncs makes it available to html/template.
//
// # Side by side
//
// SessionerAs injects the session of a second Manager into the same requests, under a type of
// your own: for example for administrators, with another cookie, store and Lifetime.
//
// # Concurrency
//
// Concurrency control is optimistic: a request works on a snapshot, its changes are rebased on
// the latest version and stored by compare-and-swap, and no request waits for another. So
// concurrent changes to one session merge key by key, across all servers that share the store.
// For the same key the last writer wins; Update applies a function to the latest value, so
// that no count is lost. A flash is delivered at most once, however many requests arrive
// together. A request cannot bring back a session that another has ended. Several goroutines
// may use the Session of a request. Do not change values in place.
//
// # Values
//
// The memory store keeps any Go value. The other stores use encoding/gob, which knows Go's
// basic types and slices of them. This package registers time.Time, time.Duration,
// map[string]string, map[string]any, []any and the like; other types need gob.Register once at
// start. Without it the client gets 500, and the error names the key, the type and the missing
// call. Encoder and Decoder in each Config select another encoding; those of a Cipher encrypt.
//
// # Security
//
// IDs have 160 random bits (OWASP ASVS 5.0 7.2.3). An ID that the store does not have is never
// adopted. Cookies are HttpOnly, SameSite=Lax, without a Domain, and Secure over TLS. Behind a
// proxy that terminates TLS, set CookieOptions.Secure, and a name that starts with __Host-,
// whose rules are checked at start. A response that sets the cookie is not cached; one that
// depends on it has a Vary header. Errors go to Options.ErrorFunc, and never contain an ID.
//
// # Backends
//
// Sessions are kept in memory, in files, in a database, or, with package cookie, in the
// clients themselves. A Cipher encrypts what backends store.
//
// For another storage system, write a Backend, which has seven methods; BackendIniter makes an
// Initer of it. A Store of your own, as for v1.6.6, works too, with fewer guarantees.
//
// # Testing
//
// Package sessiontest has a client that keeps cookies, for tests of your handlers. Package
// driver/drivertest tests backends.
package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/flamego/session/internal/txn"
)

// Session is the session of the current request. The Session that the library injects may be
// used by several goroutines of the request at once. Treat values as immutable: to change one,
// set a new one, or use Update.
//
// This interface never grows, since applications implement it. Everything else is a function
// of this package: Get, Pop, Take, Update, Destroy, Commit, Refresh, Expires, SetLifetime,
// Remember, AddFlash, Flashes, URL.
type Session interface {
	// ID returns the session ID. If the session is not stored yet, calling it makes the ID
	// final: the session is then stored with the response even if nothing is set.
	ID() string
	// RegenerateID gives the session a new ID. The session is stored under it with the
	// response, and the old ID is then invalid on every server. Call it whenever a user's
	// privileges change, above all at sign-in (OWASP ASVS 5.0 7.2.4). It returns an error once
	// the response has started, since the client can no longer be told.
	RegenerateID(w http.ResponseWriter, r *http.Request) error
	// Get returns the value of given key in the session. It returns nil if the key does not
	// exist, or if its value cannot be decoded; the latter is reported to Options.ErrorFunc.
	Get(key interface{}) interface{}
	// Set sets the value of given key in the session. It panics if the key's type is not
	// comparable, such as a map. Keys that start with "flamego::session::" are reserved for
	// the library: an attempt to set or delete one has no effect and makes the next commit
	// fail.
	Set(key, val interface{})
	// SetFlash sets the flash to be the given value in the session. It is delivered at most
	// once, as session.Flash, to the session's next request, or to the next one that
	// Options.TakesFlash selects.
	SetFlash(val interface{})
	// Delete deletes a key from the session.
	Delete(key interface{})
	// Flush wipes out all existing data in the session. The session itself continues; to end
	// it, use Destroy.
	Flush()
	// Encode encodes session data to binary.
	Encode() ([]byte, error)
	// HasChanged returns whether the session has changed.
	HasChanged() bool
}

// ErrEnded means that the session has been ended by another request, here or on another
// server. The changes are dropped: an ended session stays ended.
var ErrEnded = txn.ErrEnded

// ErrTooLarge means that the session would exceed Options.MaxSize.
var ErrTooLarge = txn.ErrTooLarge

// Get returns the value of given key if it is of type T. Otherwise, or if the key does not
// exist, it returns the zero value and false. It may be called concurrently, on any Session.
func Get[T any](s Session, key interface{}) (T, bool) {
	v, ok := s.Get(key).(T)
	return v, ok
}

// Pop is like Get, and deletes the key if it held a T. Two concurrent requests may both get
// the value; use Take if only one may.
func Pop[T any](s Session, key interface{}) (T, bool) {
	v, ok := Get[T](s, key)
	if ok {
		s.Delete(key)
	}
	return v, ok
}

// Take deletes a key and returns its value if it is of type T. Among concurrent requests, on
// any server, exactly one gets the value. Use it for one-time codes and invitations, which Pop
// could hand out twice. It returns false if the key does not exist, holds another type, or was
// taken by another request.
//
// Take commits the session at once, as Commit does, pending changes included; if that fails,
// nothing is taken. The value is returned only if its removal is certain to be stored. After
// an error no other request gets the value twice: it may still be there, or it may be lost. A
// value that cannot be decoded is an error, and stays. ErrEnded means that the session has
// ended.
//
// A value that is set again can be taken again, so hand out a code only after the Commit, or
// the response, that stores it has succeeded. Take sees the session as this request loaded it;
// call Refresh to see what others have set since.
//
// It waits until the context ends, but no longer than Options.StoreTimeout. It may be called
// concurrently. It returns an error with package cookie, because a client can present an old
// copy again, and for another implementation of Session. With a Store of your own it is exact
// within one process only.
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

// Update sets the value of given key to fn of the current value, or of the zero value if the
// key is missing or holds another type. It is atomic across requests and servers: if another
// request commits first, fn runs again on the value that request stored. So fn must have no
// side effects, must not change its argument in place, and must not call Commit. It may use
// other keys of the session; it panics if it changes its own.
//
// It returns the new value as this request sees it. If the value cannot be decoded, for
// example because only another version of the program knows its type, fn does not run, and the
// session cannot be stored: the client gets 500, and the stored value stays. It may be called
// concurrently. On another implementation of Session it is Get followed by Set.
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

// Destroy ends the session, as at sign-out: with the response its record is deleted and its
// cookie removed. If the record cannot be deleted, the client gets 500. Requests that are
// still working on the session cannot bring it back (OWASP ASVS 5.0 7.4.1). Whatever is set
// after Destroy goes into a new session with a new ID. On another implementation of Session it
// calls Flush.
func Destroy(s Session) {
	l, ok := s.(*live)
	if !ok {
		s.Flush()
		return
	}
	l.use()
	l.txn.Destroy()
}

// Commit stores the session now instead of just before the first byte of the response: for
// example before a WebSocket takes over the connection, or in the middle of a long stream. It
// waits until the context ends, but no longer than Options.StoreTimeout.
//
// An error means that the changes are not known to be stored. They are retried with the
// response, except after ErrEnded, which drops them. Because a store may fail after it has
// done the work, an Update that is retried may count twice; a flash is dropped rather than
// shown twice.
//
// Commit does not write the cookie. The header with a new ID is written once, just before the
// first byte of the response, which waits for a commit in progress. After that, a change that
// needs a new ID is an error. Commit may be called concurrently. On another implementation of
// Session it does nothing.
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
		ctx, cancel := l.store.deadline(ctx)
		defer cancel()
		return l.txn.Commit(ctx)
	}
}

var (
	errRotateLate  = errors.New("the response has started, so the client cannot be told the new ID: call it before writing")
	errEditRotates = errors.New("session: regenerate ID: Edit has no client that could be told the new ID: call it in a request of the session")
)

// live is a Session of this library, used by a request or by a caller of Store.Read. It hides
// the transaction, so that a type assertion yields nothing but a Session.
type live struct {
	txn   txn.Session
	store *store
	req   *request // nil outside of a request

	shown   atomic.Pointer[flashes]
	outside bool // in Edit
}

var _ Session = (*live)(nil)

// use records that a handler used the session: the response depends on the cookie.
func (l *live) use() {
	if l.req != nil && !l.req.used.Load() {
		l.req.used.Store(true)
	}
}

var errOnlyCopy = errors.New("the session is stored client-side, and the client may have several copies: use a store on the server")

// reach limits a wait for the store, or returns why the store cannot be asked.
func (l *live) reach(ctx context.Context) (context.Context, context.CancelFunc, error) {
	switch {
	case l.store.core.Traits.Client:
		return nil, nil, errOnlyCopy
	case l.req != nil && l.req.x.closed.Load():
		return nil, nil, errors.New("the request has failed, so nothing more is stored")
	}
	ctx, cancel := l.store.deadline(ctx)
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
	ctx, cancel := l.store.deadline(r.Context())
	defer cancel()
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
