package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flamego/session/internal/txn"
)

// SetLifetime gives this session an idle timeout of its own instead of
// Config.Lifetime: short for an administrator, long for a kiosk. It slides with every
// access. It is kept with the record, so all servers agree, and stays when the ID
// changes. 0 undoes it. An absolute timeout still ends the session.
//
// It is an error if d is negative, under a second or over 100 years, or if the Store
// was not made by this library and so decides by itself when a session expires. It may
// be called concurrently. On a Session from outside this library it is a Set.
func SetLifetime(s Session, d time.Duration) error {
	if err := canLast(s, d, txn.MaxLifetime, "100 years"); err != nil {
		return fmt.Errorf("session: set lifetime: %w", err)
	}
	setOwn(s, txn.LifetimeKey, int64(d))
	return nil
}

// SetAbsoluteLifetime gives this session an absolute timeout of its own instead of
// Options.AbsoluteLifetime: it ends d after it began, however busy it is. If the option is
// not set, d counts from the first call. It is kept with the record, so all servers agree,
// and stays when the ID changes. 0 undoes it.
//
// It is an error if d is negative, under a second or over 100 years, or shorter than what
// Remember was given. It may be called concurrently. On a Session from outside this library
// it is a Set.
func SetAbsoluteLifetime(s Session, d time.Duration) error {
	err := inRange(d, txn.MaxLifetime, "100 years")
	if l, ok := s.(*live); ok && err == nil {
		err = l.outlasts(d, time.Duration(txn.WholeNumber(l.txn.Get(txn.RememberKey)))*time.Second)
	}
	if err != nil {
		return fmt.Errorf("session: set absolute lifetime: %w", err)
	}
	setOwn(s, txn.AbsoluteKey, int64(d))
	return nil
}

// outlasts returns an error if a session with this absolute timeout of its own, 0 for that of
// the options, ends before its cookie.
func (l *live) outlasts(absolute, cookie time.Duration) error {
	l.use()
	option := "SetAbsoluteLifetime"
	if absolute == 0 {
		absolute, option = l.store.core.Absolute, "Options.AbsoluteLifetime"
	}
	if absolute == 0 || cookie <= absolute {
		return nil
	}
	return fmt.Errorf("a cookie for %v, but %s ends the session after %v: remember it for no longer, or call session.SetAbsoluteLifetime with %v first", cookie, option, absolute, cookie)
}

// Remember makes the session outlive the browser, for "stay signed in": its cookie
// becomes persistent, with d as its Max-Age, and d becomes its idle timeout, as with
// SetLifetime. Both count from the last access. Without Remember the cookie ends with
// the browser, unless CookieOptions.MaxAge is set. 0 undoes it: the session then lasts
// as if Remember and SetLifetime had never been called.
//
// It is an error if d is negative, under a second or over 400 days, the most that
// browsers keep a cookie (RFC 6265bis, section 5.5), if d is longer than the session's
// absolute timeout, which would end it before: see SetAbsoluteLifetime; or if the Store was
// not made by this library. The cookie is written with the first byte of the response, and
// ends with the absolute timeout at the latest; a later Remember takes effect when the cookie
// is next sent. It may be called concurrently.
func Remember(s Session, d time.Duration) error {
	err := canLast(s, d, txn.MaxCookieAge, "400 days")
	if l, ok := s.(*live); ok && err == nil {
		err = l.outlasts(time.Duration(txn.WholeNumber(l.txn.Get(txn.AbsoluteKey))), d)
	}
	if err != nil {
		return fmt.Errorf("session: remember: %w", err)
	}
	setOwn(s, txn.LifetimeKey, int64(d))
	setOwn(s, txn.RememberKey, int64(d/time.Second))
	return nil
}

// Expires returns when the session ends if nobody uses it from now on: at the end of its
// idle timeout or of Options.AbsoluteLifetime, whichever is earlier. What this request
// has changed counts as stored. A page can warn its visitor in time; a WebSocket knows
// when to call Refresh at the latest. Other requests may have kept the session alive, or
// ended it, since this one has loaded it: Refresh finds out.
//
// It is the zero time if there is no session, if the Store was not made by this library
// and so decides by itself, and for a Session from outside this library. It may be
// called concurrently.
func Expires(s Session) time.Time {
	l, ok := s.(*live)
	if !ok {
		return time.Time{}
	}
	l.use()
	return l.txn.Expires()
}

func canLast(s Session, d, most time.Duration, name string) error {
	if l, ok := s.(*live); ok && l.store.core.Traits.OwnExpiry {
		return cmp.Or(inRange(d, most, name), errors.New("this Store decides by itself when a session expires: use a Store made by session.NewStore"))
	}
	return inRange(d, most, name)
}

func inRange(d, most time.Duration, name string) error {
	switch {
	case d < 0:
		return fmt.Errorf("a duration of %v: give 0 to take it back; to end the session use session.Destroy", d)
	case d > 0 && d < time.Second:
		return fmt.Errorf("a duration of %v: give a second at least", d)
	case d > most:
		return fmt.Errorf("a duration of %v is too long: give %s at most", d, name)
	}
	return nil
}

// setOwn sets one of the library's own keys, or deletes it if n is 0.
func setOwn(s Session, key string, n int64) {
	l, ok := s.(*live)
	if ok {
		l.use()
	}
	switch {
	case ok && n == 0:
		l.txn.DeleteOwn(key)
	case ok:
		l.txn.SetOwn(key, n)
	case n == 0:
		s.Delete(key)
	default:
		s.Set(key, n)
	}
}

// Refresh loads the session again, so that a WebSocket or a long stream sees what other
// requests have stored since, and keeps it alive as a request does. Call it from time to
// time, and at least once in the session's idle timeout: see Expires. With
// Options.RenewEvery call it every few minutes: it follows a renewal by another request
// only while the old ID is still good. What this request has changed and not yet stored
// stays, and Updates run again on what was loaded. The flash is left to the next request.
// A passive request does not keep the session alive by it either: see Options.Passive.
//
// ErrEnded means that the session has ended or moved to a new ID: say goodbye to the
// client. Any other error means that the store could not be asked, and the session is
// as it was: try again. Without a session Refresh does nothing.
//
// It waits until the context ends, but no longer than Options.StoreTimeout. It may be
// called concurrently. With package cookie it is an error: the client has the only copy.
// It does nothing to a Session from outside this library.
func Refresh(ctx context.Context, s Session) error {
	l, ok := s.(*live)
	if !ok {
		return nil
	}
	ctx, cancel, err := l.reach(ctx)
	if err != nil {
		return fmt.Errorf("session: refresh: %w", err)
	}
	defer cancel()
	if err := l.txn.Refresh(ctx); err != nil {
		return fmt.Errorf("session: refresh: %w", err)
	}
	return nil
}
