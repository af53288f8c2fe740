package session

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
)

// What the library keeps in a record next to the data, under keys of its own.
// All but the last two are int64, which every gob decoder knows, also that of v1.6.6;
// for other codecs see wholeNumber. Flush leaves them alone: they belong to the session, not
// to what is in it.
const (
	ownPrefix   = "flamego::session::"
	createdKey  = "flamego::session::created"  // Unix milliseconds
	lifetimeKey = "flamego::session::lifetime" // idle timeout in nanoseconds
	rememberKey = "flamego::session::remember" // Max-Age of the cookie in seconds
	sentKey     = "flamego::session::sent"     // when a persistent cookie was last sent, in Unix milliseconds
	placeKey    = "flamego::session::place"    // the cookie or header that it was made for, a string
	forwardKey  = "flamego::session::forward"  // in the place of a session: the IDs that one has moved to
)

var reservedKeys = []any{createdKey, lifetimeKey, rememberKey, sentKey, placeKey, forwardKey}

func isReserved(key any) bool { return slices.Contains(reservedKeys, key) }

// maxLifetime keeps every expiry within what all storage systems can hold.
const maxLifetime = 100 * 365 * 24 * time.Hour

// SetLifetime gives this session an idle timeout of its own, in the place of
// Config.Lifetime: short for an administrator, long for a kiosk. It counts from
// every access, is kept with the record, so that all servers agree, and goes
// along when the ID changes. 0 takes it back. An AbsoluteLifetime still ends the
// session.
//
// It is an error if d is negative, under a second or over 100 years, or if the
// Store was not made by this library and so decides about expiry by itself. It
// may be called concurrently; on a Session of another make it is a Set.
func SetLifetime(s Session, d time.Duration) error {
	if err := canLast(s, d, maxLifetime, "100 years"); err != nil {
		return fmt.Errorf("session: set lifetime: %w", err)
	}
	setOwn(s, lifetimeKey, int64(d))
	return nil
}

// Remember makes the session outlive the browser, as by "stay signed in": its
// cookie becomes persistent, with d as its Max-Age, and d becomes its idle
// timeout, as by SetLifetime. Both count from the last access. Without Remember
// the cookie ends with the browser, unless CookieOptions.MaxAge is set. 0 takes
// it back: then the session lasts as if Remember and SetLifetime had never been
// called. An AbsoluteLifetime still ends the session.
//
// It is an error if d is negative, under a second or over 400 days, which is the
// most that browsers keep a cookie (RFC 6265bis, section 5.5), or if the Store
// was not made by this library. The cookie is written with the response, so
// after its first byte Remember comes too late: what it stored then takes effect
// when the cookie is next sent. It may be called concurrently.
func Remember(s Session, d time.Duration) error {
	if err := canLast(s, d, maxCookieAge, "400 days"); err != nil {
		return fmt.Errorf("session: remember: %w", err)
	}
	setOwn(s, lifetimeKey, int64(d))
	setOwn(s, rememberKey, int64(d/time.Second))
	return nil
}

func canLast(s Session, d, most time.Duration, name string) error {
	switch {
	case d < 0:
		return fmt.Errorf("a duration of %v: give 0 to take it back; to end the session use session.Destroy", d)
	case d > 0 && d < time.Second:
		return fmt.Errorf("a duration of %v: give a second at least", d)
	case d > most:
		return fmt.Errorf("a duration of %v is too long: give %s at most", d, name)
	}
	if live, ok := s.(*liveSession); ok {
		if _, foreign := live.store.engine.(*foreignEngine); foreign {
			return errors.New("this Store decides by itself when a session expires: use a Store made by session.NewStore")
		}
	}
	return nil
}

// setOwn sets a key of the library's own, or deletes it if n is 0.
func setOwn(s Session, key string, n int64) {
	live, ok := s.(*liveSession)
	switch {
	case ok && n == 0:
		live.remove(key)
	case ok:
		live.set(key, n)
	case n == 0:
		s.Delete(key)
	default:
		s.Set(key, n)
	}
}

// ownKeyError says why a key cannot be set or deleted, or is nil.
func ownKeyError(key any) error {
	name, ok := key.(string)
	if !ok || !strings.HasPrefix(name, ownPrefix) || !isReserved(key) {
		return nil
	}
	return fmt.Errorf("session: the key %q is the library's own and cannot be set or deleted: use session.SetLifetime or session.Remember, or a key that does not start with %q", name, ownPrefix)
}

// terms are what a session says about how long it lasts; what it does not say is
// 0.
type terms struct {
	created, lifetime, remember, sent int64
	place, forward                    string
}

func (t *terms) read(key, val any) {
	name, ok := key.(string)
	if !ok || !strings.HasPrefix(name, ownPrefix) {
		return
	}
	n := wholeNumber(val)
	switch name {
	case placeKey:
		t.place, _ = val.(string)
	case forwardKey:
		t.forward, _ = val.(string)
	case sentKey:
		t.sent = n
	case createdKey:
		t.created = n
	case lifetimeKey:
		t.lifetime = n
	case rememberKey:
		t.remember = n
	}
}

// wholeNumber is what an Encoder of the user's own has made of an int64: for JSON
// that is a float64. Taken for nothing, the time of creation would never come to
// its end. What is no number counts as not said.
func wholeNumber(val any) int64 {
	if n, ok := val.(int64); ok || val == nil {
		return n
	}
	if n, ok := val.(interface{ Int64() (int64, error) }); ok { // json.Number
		i, _ := n.Int64()
		return i
	}
	switch v := reflect.ValueOf(val); {
	case v.CanInt():
		return v.Int()
	case v.CanUint() && v.Uint() <= math.MaxInt64:
		return int64(v.Uint())
	case v.CanFloat() && math.Abs(v.Float()) < 1<<63:
		return int64(v.Float())
	}
	return 0
}

func (s snapshot) terms() (t terms) {
	switch {
	case s.foreign == nil && s.values == nil:
		return t
	case s.foreign == nil && s.index == nil:
		for i := range s.pairs {
			t.read(s.pairs[i].Key, s.pairs[i].Value)
		}
		return t
	}
	for _, key := range reservedKeys {
		val, _ := s.get(key)
		t.read(key, val)
	}
	return t
}

// terms are those of the session with the changes on top.
func (c *changes) terms(base snapshot) terms {
	t := base.terms()
	for i := range c.list {
		t.read(c.list[i].key, c.list[i].val)
	}
	return t
}

// cookieAge is the Max-Age that the session asks for, in seconds, or 0 for that
// of the options.
func (t terms) cookieAge() int {
	if t.remember > 0 && t.remember <= int64(maxCookieAge/time.Second) {
		return int(t.remember)
	}
	return 0
}

// idle is the idle timeout of one session.
func (s *store) idle(t terms) time.Duration {
	if d := time.Duration(t.lifetime); d >= time.Second && d <= maxLifetime {
		return d
	}
	return s.lifetime
}

// end is when the session ends however busy it is, or zero if never. What has no
// time of creation yet is about to get the present one.
func (s *store) end(t terms, now time.Time) time.Time {
	if s.absolute == 0 {
		return time.Time{}
	}
	if t.created != 0 {
		now = time.UnixMilli(t.created)
	}
	return now.Add(s.absolute)
}

// expiry is when a record ends that is written or touched now. The twentieth on
// top is what lets most accesses go without a write: see fresh.
func (s *store) expiry(now time.Time, t terms) time.Time {
	idle := s.idle(t)
	expiry := now.Add(idle + idle/20)
	if end := s.end(t, now); !end.IsZero() && end.Before(expiry) {
		return end
	}
	return expiry
}

// fresh tells whether a record will do for an access now: it must have a whole
// lifetime left, or all that it may ever have, but for the second that an old
// table cuts off. One that was written under a longer lifetime, the session's own
// or that of the store, has too much.
func (s *store) fresh(expiry time.Time, t terms, now time.Time) bool {
	left, idle := expiry.Sub(now), s.idle(t)
	if left > idle+idle/20+time.Second {
		return false
	}
	end := s.end(t, now)
	return left >= idle || !end.IsZero() && expiry.After(end.Add(-time.Second))
}

// due tells whether a cookie with this Max-Age in seconds is to be sent again: when a
// twentieth of it is gone, so that who keeps coming keeps it.
func (s *store) due(t terms, maxAge int) bool {
	since := s.now().Sub(time.UnixMilli(t.sent)).Abs()
	return maxAge > 0 && since >= time.Duration(maxAge)*time.Second/20
}

// slide gives a session a later expiry. One in the client is written anew; so is an
// encrypted one, for the sake of keys that are to be taken away. If somebody else has
// just written it, then with the right expiry, which may be one of another lifetime:
// then that version is returned, and nothing is written. It returns ErrNotFound if
// the session is gone, and with any other error the session as it was.
func (s *store) slide(ctx context.Context, id string, snap snapshot, expiry time.Time) (next snapshot, err error) {
	if s.inClient || s.renews {
		next, err = s.replace(ctx, id, snap, &changes{}, expiry)
	} else {
		next = snap
		next.expiry, next.version = expiry, nil
		err = s.touch(ctx, id, snap, expiry)
	}
	switch {
	case err == nil:
		return next, nil
	case !isGone(err):
		return snap, err
	}
	if next, err = s.find(ctx, id); err != nil {
		return snap, err
	}
	return next, nil
}

// isGone tells whether a record is gone or was written by somebody else. A Store
// that is not ours may tell the former apart.
func isGone(err error) bool {
	return errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound)
}

// over tells whether the session has come to its end. A Store that is not ours
// decides about idleness by itself.
func (s *store) over(snap snapshot, now time.Time) bool {
	if snap.foreign == nil && !now.Before(snap.expiry) {
		return true
	}
	return s.absolute != 0 && !now.Before(s.end(snap.terms(), now))
}

// dated tells whether the session needs no time of creation, or has one.
func (s *store) dated(t terms) bool {
	return s.absolute == 0 || t.created != 0
}
