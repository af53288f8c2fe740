package session

import (
	"errors"
	"fmt"
	"time"
)

// What the library keeps in a record next to the data, under keys of its own.
// All are int64, which every gob decoder knows, also that of v1.6.6. Flush
// leaves them alone: they belong to the session, not to what is in it.
const (
	createdKey  = "flamego::session::created"  // Unix milliseconds
	lifetimeKey = "flamego::session::lifetime" // idle timeout in nanoseconds
	rememberKey = "flamego::session::remember" // Max-Age of the cookie in seconds
)

func isReserved(key any) bool {
	return key == createdKey || key == lifetimeKey || key == rememberKey
}

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
	setOrDelete(s, lifetimeKey, int64(d))
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
	setOrDelete(s, lifetimeKey, int64(d))
	setOrDelete(s, rememberKey, int64(d/time.Second))
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

func setOrDelete(s Session, key string, n int64) {
	if n == 0 {
		s.Delete(key)
		return
	}
	s.Set(key, n)
}

// lifetimeOf is the idle timeout of one session.
func (s *store) lifetimeOf(g getter) time.Duration {
	if d := time.Duration(number(g, lifetimeKey)); d >= time.Second && d <= maxLifetime {
		return d
	}
	return s.lifetime
}

// end is when the session ends however busy it is, or zero if never. What has no
// time of creation yet is about to get the present one.
func (s *store) end(g getter, now time.Time) time.Time {
	if s.absolute == 0 {
		return time.Time{}
	}
	if created := number(g, createdKey); created != 0 {
		now = time.UnixMilli(created)
	}
	return now.Add(s.absolute)
}

// expiry is when a record ends that is written or touched now. The twentieth on
// top is what lets most accesses go without a write: see fresh.
func (s *store) expiry(now time.Time, g getter) time.Time {
	life := s.lifetimeOf(g)
	expiry := now.Add(life + life/20)
	if end := s.end(g, now); !end.IsZero() && end.Before(expiry) {
		return end
	}
	return expiry
}

// fresh tells whether a record will do for an access now: it must have a whole
// lifetime left, or all that it may ever have. One that was written before its
// session was given a shorter lifetime has too much.
func (s *store) fresh(snap snapshot, now time.Time) bool {
	left, life := snap.expiry.Sub(now), s.lifetimeOf(snap)
	if life != s.lifetime && left > life+life/20+time.Second {
		return false
	}
	end := s.end(snap, now)
	return left >= life || !end.IsZero() && !snap.expiry.Before(end)
}

// over tells whether the session has come to its end. A Store that is not ours
// decides about idleness by itself.
func (s *store) over(snap snapshot, now time.Time) bool {
	if snap.foreign == nil && !now.Before(snap.expiry) {
		return true
	}
	end := s.end(snap, now)
	return !end.IsZero() && !now.Before(end)
}

// dated tells whether the session needs no time of creation, or has one.
func (s *store) dated(g getter) bool {
	return s.absolute == 0 || number(g, createdKey) != 0
}

// number returns what the library keeps under one of its keys.
func number(g getter, key string) int64 {
	val, _ := g.get(key)
	n, _ := val.(int64)
	return n
}

// layered is a session with changes on top.
type layered struct {
	changes *changes
	base    getter
}

func (l layered) get(key any) (any, bool) {
	if val, known := l.changes.get(key); known {
		return val, val != nil
	}
	return l.base.get(key)
}

// cookieAge is the Max-Age that a session asks for, in seconds, or 0 for that of
// the options.
func cookieAge(g getter) int {
	if n := number(g, rememberKey); n > 0 && n <= int64(maxCookieAge/time.Second) {
		return int(n)
	}
	return 0
}
