// Package txn is the core: a session in use is an optimistic transaction. It reads a
// version, collects changes, and commits them by compare-and-swap; if another
// transaction committed first, the changes are rebased on the newer version.
//
// It knows neither HTTP nor storage. An Engine keeps the versions, and a Host, which
// is an HTTP request or a caller of Store.Read, tells the client.
//
//	values.go changes.go   what a version holds, and what a transaction changed
//	terms.go               how long a session lasts
//	engine.go store.go     loading: find, take the flash, slide the expiry
//	session.go verbs.go    a transaction under way, and what handlers do with it
//	commit.go run.go       plan → run → settle
//	plan.go                what one commit will do
//	still.go take.go       commits that do not slide, loading again; a value for one
//	flash.go               several flashes under one key
//	forward.go             what a rotation leaves under the old ID: see package forward
//	owned.go claim.go      owners' lists, and what a commit puts there: see package owners
//	everybody.go           ending all sessions of a place
//	adopt.go               sessions from before owners
//	notes.go               the library's own records
package txn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/owners"
)

// Version is one stored version of a session. It does not change.
type Version struct {
	ID     string
	Sealed string // what the client presents, if that is not the ID
	View   View
	// Record is what a driver compares. Data is set if there are bytes, Expiry always;
	// if the engine itself decides about idleness, Expiry is in the far future.
	Record driver.Record
	// Superseded: it was found by an ID that it had until a moment ago, so the client
	// is about to get the new one.
	Superseded bool

	due   bool // when it was found, its expiry had to slide: see isFresh
	terms *terms
}

// Token is what a client presents to come back to its session: the ID, or the session itself,
// sealed. It is a secret between the two, so what shows something to anybody else takes
// another type, such as owners.Handle.
type Token string

// Token is what the client presents to come back to the session.
func (v *Version) Token() Token { return Token(cmp.Or(v.Sealed, v.ID)) }

// MaxAge is the Max-Age that the session asks for, in seconds, or 0.
func (v *Version) MaxAge() int { return v.terms.maxAge() }

// Place is the cookie or header that the session was made for, or "".
func (v *Version) Place() string { return v.terms.place }

// values are those of an engine whose views are of that type.
func (v *Version) values() *Values {
	if v == nil {
		return nil
	}
	vals, _ := v.View.(*Values)
	return vals
}

// Next returns v, which is nil for a new session, with the changes applied. It is for
// engines whose views are Values.
func (v *Version) Next(ch *Changes, id string, expiry time.Time) (*Version, *Values) {
	vals := ch.Apply(v.values())
	return &Version{ID: id, View: vals, Record: driver.Record{Expiry: expiry}}, vals
}

// Engine keeps the versions of sessions. Each version that it returns is new. Its errors
// are the sentinels of package driver, including ErrUnreadable from Load. After any other
// error, Create, Replace or Move may still have been done: the version returned with the
// error is what was to be stored, or nil if nothing was.
type Engine interface {
	// Valid reports whether a string may be a Token. Nothing from a client gets past
	// it unless it does. least is the length of the shortest ID.
	Valid(token string, least int) bool
	// Load returns the version under an ID or a Token, expired or not. With ErrUnreadable
	// comes one without a View, if it can be replaced.
	Load(ctx context.Context, id string) (*Version, error)
	// Create and Replace store the changes on top of nothing or of the old version,
	// Move does the same under a new ID.
	Create(ctx context.Context, id string, ch *Changes, expiry time.Time) (*Version, error)
	Replace(ctx context.Context, old *Version, ch *Changes, expiry time.Time) (*Version, error)
	Move(ctx context.Context, old *Version, newID string, ch *Changes, expiry time.Time) (*Version, error)
	// Touch gives the old version a later expiry, by touching, sealing or encrypting it
	// again.
	Touch(ctx context.Context, old *Version, expiry time.Time) (*Version, error)
	Delete(ctx context.Context, id string) error
	// Sweep deletes expired records, at most limit of them, and returns how many.
	Sweep(ctx context.Context, now time.Time, limit int) (int, error)
	// Encode returns what would be stored.
	Encode(v View, ch *Changes) ([]byte, error)
	Traits() Traits
}

// Traits are what the core and its callers have to know of an engine.
type Traits struct {
	// Local: it never waits, so it needs no deadline.
	Local bool
	// Client: the client keeps the session. Every version has a new Token, nothing
	// can be stored once the response has started, and nobody else can change it.
	Client bool
	// OwnExpiry: the engine itself decides when a session has been idle for too long.
	OwnExpiry bool
	// HandlersSave: handlers may have stored a new session by themselves, under an ID
	// that they have asked for.
	HandlersSave bool
	// OwnRecords: it can keep records of the library's own: forwards, owners' lists.
	OwnRecords bool
	// Shared: several Managers may share it, so its records say which cookie or header
	// they belong to.
	Shared bool
}

// Namer is an Engine that does not let IDs get into the storage. What the library's own
// records name is Ref of an ID, which the Engine takes instead of the ID.
type Namer interface {
	Ref(id string) string
}

// ManyLoader is an Engine that can load several versions in one round trip. What is not
// there is left out. What cannot be read has no View, or is left out, too.
type ManyLoader interface {
	LoadMany(ctx context.Context, ids []string) (map[string]*Version, error)
}

// The sentinels that callers of this package check for, besides those of driver.
var (
	ErrExpired    = fmt.Errorf("%w: expired", driver.ErrNotFound) // from Find
	ErrEnded      = owners.ErrEnded
	ErrTooMany    = owners.ErrTooMany
	ErrLate       = errors.New("session: begun after the response had started, so the client could not be told its ID, and nothing was stored: use the session before writing")
	ErrLateID     = errors.New("session: regenerate ID: called while the response started, so the client could not be told, and keeps its ID: call it before writing")
	ErrLateClient = errors.New("session: changed or ended after the response had started: the session is kept by the client, which could not be told, so it stays as it was: do it before writing")
)
