package txn

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/flamego/session/internal/owners"
)

// The library's own keys in a record. Their numbers are int64, which every gob decoder
// knows, including that of v1.6.6; for other codecs see WholeNumber.
const (
	OwnPrefix   = "flamego::session::"
	FlashKey    = OwnPrefix + "flash"
	CreatedKey  = OwnPrefix + "created"  // Unix milliseconds
	LifetimeKey = OwnPrefix + "lifetime" // idle timeout in nanoseconds
	AbsoluteKey = OwnPrefix + "absolute" // absolute timeout in nanoseconds
	RememberKey = OwnPrefix + "remember" // Max-Age of the cookie in seconds
	resendKey   = OwnPrefix + "resend"   // from when a persistent cookie is sent again, in Unix milliseconds
	placeKey    = OwnPrefix + "place"    // the cookie or header that it was made for, a string
	renewedKey  = OwnPrefix + "renewed"  // when the session got its ID, in Unix milliseconds

	ownerKey  = OwnPrefix + "owner"  // whose it is, a string
	handleKey = OwnPrefix + "handle" // its name in the owner's list, a string
	listedKey = OwnPrefix + "listed" // until when the list lasts, in Unix milliseconds
	LabelKey  = OwnPrefix + "label"  // what the application calls it, a string

	StoredAtKey = OwnPrefix + "at" // a hash of the key that an encrypted record is stored under

	// In records of the library's own, which are no sessions.
	forwardKey = OwnPrefix + "forward"  // the IDs that a session moved to
	listKey    = OwnPrefix + "sessions" // those of an owner
	EndedKey   = OwnPrefix + "ended"    // a tombstone
)

// unlisted is the value of listedKey until a commit puts the session on the list.
const unlisted = 1

// MaxLifetime keeps every expiry within the range of all storage systems.
const MaxLifetime = 100 * 365 * 24 * time.Hour

// keptKeys belong to the session, not to its contents, so Flush leaves them alone.
// ownerKeys belong to who is signed in. noteKeys tell what is no session.
var (
	keptKeys  = []any{CreatedKey, LifetimeKey, AbsoluteKey, RememberKey, resendKey, placeKey, renewedKey, LabelKey, StoredAtKey}
	ownerKeys = []any{ownerKey, handleKey, listedKey}
	noteKeys  = []any{forwardKey, listKey, EndedKey}
	ownKeys   = slices.Concat(keptKeys, ownerKeys, noteKeys)
)

// isOwn reports whether only the library may change the key. The flash key is not one
// of those, since v1.6.6 let applications set it.
func isOwn(key any) bool { name := ownName(key); return name != "" && name != FlashKey }

// isKept reports whether Flush leaves the key alone.
func isKept(key any) bool { return isOwn(key) && slices.Contains(keptKeys, key) }

// KeptKeys are the keys that Flush leaves alone.
func KeptKeys() []any { return keptKeys }

func ownKeyError(key any) error {
	return fmt.Errorf("session: the key %q is the library's own and cannot be set or deleted: use session.SetLifetime, session.SetAbsoluteLifetime, session.Remember, session.SetOwner or session.SetLabel, or a key that does not start with %q", key, OwnPrefix)
}

// terms are what a session's own keys say. What they do not say is 0. Most sessions have
// none of these keys, and share noTerms.
type terms struct {
	created, lifetime, absolute, remember, resend int64
	renewed                                       int64
	listed                                        int64 // 0 if it has no owner
	place, note                                   string
	isNote                                        bool // it is no session
	flash                                         bool // there is one
}

var noTerms = &terms{}

// ownName returns the name of a key that may be the library's own, otherwise "".
func ownName(key any) string {
	if name, _ := key.(string); strings.HasPrefix(name, OwnPrefix) {
		return name
	}
	return ""
}

func (t *terms) read(name string, val any) {
	switch name {
	case FlashKey:
		t.flash = val != nil
	case placeKey:
		t.place, _ = val.(string)
	case forwardKey, listKey, EndedKey:
		t.note, _ = val.(string)
		t.isNote = val != nil
	case renewedKey:
		t.renewed = WholeNumber(val)
	case listedKey:
		t.listed = WholeNumber(val)
	case resendKey:
		t.resend = WholeNumber(val)
	case CreatedKey:
		t.created = WholeNumber(val)
	case LifetimeKey:
		t.lifetime = WholeNumber(val)
	case AbsoluteKey:
		t.absolute = WholeNumber(val)
	case RememberKey:
		t.remember = WholeNumber(val)
	}
}

// WholeNumber converts what another Encoder has made of an int64, such as JSON's
// float64. Otherwise a session's absolute timeout would never come. Anything that is
// not a number is 0.
func WholeNumber(val any) int64 {
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

func termsOf(v View) *terms {
	t := noTerms
	if v == nil {
		return t
	}
	for _, p := range v.Own() {
		if name := ownName(p.Key); name != "" {
			if t == noTerms {
				t = &terms{}
			}
			t.read(name, p.Value)
		}
	}
	return t
}

// with returns the terms with the changes applied.
func (t *terms) with(c *Changes) *terms {
	if c.Empty() {
		return t
	}
	next := t
	change := func() {
		if next == t {
			now := *t
			next = &now
		}
	}
	if c.flushed && t != noTerms {
		change()
		next.listed, next.flash = 0, false
	}
	for i := range c.list {
		if name := ownName(c.list[i].key); name != "" {
			change()
			next.read(name, c.list[i].val)
		}
	}
	return next
}

// MaxCookieAge is the most that browsers allow (RFC 6265bis, section 5.5).
const MaxCookieAge = 400 * 24 * time.Hour

// maxAge is the session's own Max-Age in seconds, or 0 for that of the options.
func (t *terms) maxAge() int {
	if t.remember > 0 && t.remember <= int64(MaxCookieAge/time.Second) {
		return int(t.remember)
	}
	return 0
}

// idle is the idle timeout of one session.
func (s *Store) idle(t *terms) time.Duration {
	if d := time.Duration(t.lifetime); d >= time.Second && d <= MaxLifetime {
		return d
	}
	return s.Idle
}

// absolute is the absolute timeout of one session, or 0 for none.
func (s *Store) absolute(t *terms) time.Duration {
	if d := time.Duration(t.absolute); d >= time.Second && d <= MaxLifetime {
		return d
	}
	return s.Absolute
}

// deadline is when the absolute timeout ends the session, or zero for never. A session
// without a creation time is about to get the current time.
func (s *Store) deadline(t *terms, now time.Time) time.Time {
	d := s.absolute(t)
	if d == 0 {
		return time.Time{}
	}
	if t.created != 0 {
		now = time.UnixMilli(t.created)
	}
	return now.Add(d)
}

// expiry is the expiry of a record that is written or touched now. The extra twentieth
// saves most accesses a write: see isFresh. A session never outlasts its owner's list.
func (s *Store) expiry(now time.Time, t *terms) time.Time {
	expiry := s.wanted(now, t)
	if t.listed > unlisted {
		if end := time.UnixMilli(t.listed); end.Before(expiry) {
			return end
		}
	}
	return expiry
}

func (s *Store) wanted(now time.Time, t *terms) time.Time {
	idle := s.idle(t)
	expiry := now.Add(idle + idle/20)
	// A second more, since old tables keep whole seconds only: isOver is exact.
	if end := s.deadline(t, now).Add(time.Second); s.Absolute != 0 && end.Before(expiry) {
		return end
	}
	return expiry
}

// listUntil is how long the owner's list has to last if the session is written now, and
// whether that is longer than it does.
func (s *Store) listUntil(t *terms) (until time.Time, due bool) {
	if t.listed == 0 {
		return time.Time{}, false
	}
	expiry := s.wanted(s.Now(), t)
	return expiry.Add(owners.Slack), expiry.After(time.UnixMilli(t.listed))
}

// isFresh reports whether an access now need not slide the expiry. The record must have
// a whole idle timeout left, or as much as the absolute timeout allows. It must not have more than it should, as one written
// under a longer timeout has.
func (s *Store) isFresh(v *Version, now time.Time) bool {
	expiry, idle := v.Record.Expiry, s.idle(v.terms)
	whole := now.Add(idle)
	if expiry.After(whole.Add(idle/20 + time.Second)) {
		return false
	}
	end := s.deadline(v.terms, now)
	return !expiry.Before(whole) || !end.IsZero() && !expiry.Before(end)
}

// expired reports whether the session has expired.
func (s *Store) expired(v *Version, now time.Time) bool {
	return !now.Before(v.Record.Expiry) || s.isOver(v.terms, now)
}

// isOver reports whether the absolute timeout has ended the session.
func (s *Store) isOver(t *terms, now time.Time) bool {
	return s.absolute(t) != 0 && !now.Before(s.deadline(t, now))
}

// hasCreated reports whether the session has a creation time, or needs none.
func (s *Store) hasCreated(t *terms) bool { return s.absolute(t) == 0 || t.created != 0 }

// CookieDue reports whether a persistent cookie with this Max-Age in seconds has to be
// sent again: when a twentieth of the Max-Age of the last one has passed, so that an active
// visitor keeps it.
func (s *Store) CookieDue(v *Version, maxAge int) bool {
	if maxAge <= 0 {
		return false
	}
	left := time.UnixMilli(v.terms.resend).Sub(s.Now())
	return left <= 0 || left > resendAfter(maxAge) // The clock was wrong, or the Max-Age was longer.
}

func resendAfter(seconds int) time.Duration { return time.Duration(seconds) * time.Second / 20 }

// RenewalDue reports whether the session has had its ID for too long.
func (s *Store) RenewalDue(v *Version) bool {
	return s.RenewEvery > 0 && s.Now().Sub(time.UnixMilli(v.terms.renewed)) >= s.RenewEvery
}
