package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flamego/session/internal/txn"
)

// SetLifetime gives this session its own idle timeout, instead of Config.Lifetime: a shorter
// one for an administrator, say, or a longer one for a kiosk. It slides with every access. It
// is stored in the record, so all servers agree on it, and it survives a change of ID. 0
// resets it. The absolute timeout still applies.
//
// It returns an error if d is negative, under a second or over 100 years, or if the Store was
// not made by this library, since such a Store decides itself when a session expires. It may
// be called concurrently. On another implementation of Session it only calls Set.
func SetLifetime(s Session, d time.Duration) error {
	if err := canLast(s, d, txn.MaxLifetime, "100 years"); err != nil {
		return fmt.Errorf("session: set lifetime: %w", err)
	}
	setOwn(s, txn.LifetimeKey, int64(d))
	return nil
}

// SetAbsoluteLifetime gives this session its own absolute timeout, instead of
// Options.AbsoluteLifetime: the session ends d after it began, however busy it is. If the
// option is not set, d counts from the first call. It is stored in the record, so all servers
// agree on it, and it survives a change of ID. 0 resets it.
//
// It returns an error if d is negative, under a second or over 100 years, or shorter than the
// duration given to Remember. It may be called concurrently. On another implementation of
// Session it only calls Set.
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

// outlasts returns an error if a session with this absolute timeout, or with that of the
// options if absolute is 0, would end before its cookie.
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

// Remember makes the session outlive the browser, for "stay signed in": its cookie becomes
// persistent with d as its Max-Age, and d becomes its idle timeout, as with SetLifetime. Both
// count from the last access. Without Remember the cookie ends with the browser, unless
// CookieOptions.MaxAge is set. 0 resets both: the session then lasts as if neither Remember
// nor SetLifetime had been called.
//
// It returns an error if d is negative, under a second or over 400 days (the longest that
// browsers keep a cookie: RFC 6265bis, section 5.5), if d exceeds the session's absolute
// timeout (see SetAbsoluteLifetime), or if the Store was not made by this library. The cookie
// is written with the first byte of the response, and expires with the absolute timeout at the
// latest. A later call takes effect when the cookie is next sent. It may be called
// concurrently.
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

// Expires returns when the session will end if nobody uses it from now on: at its idle timeout
// or its absolute timeout, whichever comes first. Uncommitted changes of this request count as
// stored. Use it to warn a visitor in time, or to schedule the next Refresh of a WebSocket.
// Since this request loaded the session, other requests may have extended or ended it; Refresh
// finds out.
//
// It returns the zero time if there is no session, if the Store was not made by this library
// (it then decides itself when a session expires), and for another implementation of Session.
// It may be called concurrently.
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
// requests have stored, and extends the session as a new request would. Call it from time to
// time, at least once per idle timeout: see Expires. With Options.RenewEvery call it every few
// minutes, since it can follow a renewal by another request only while the old ID is valid.
// Uncommitted changes of this request stay, and Updates are applied again to the loaded
// values. The flash is left for the next request. In a passive request Refresh does not extend
// the session either: see Options.Passive.
//
// ErrEnded means that the session has ended or moved to a new ID: close the connection. After
// any other error the store could not be reached, and the session is unchanged: try again.
// Without a session Refresh does nothing.
//
// It waits until the context ends, but no longer than Options.StoreTimeout. It may be called
// concurrently. With package cookie it returns an error, because the client has the only copy.
// On another implementation of Session it does nothing.
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
