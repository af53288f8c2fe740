// Package driver defines what the session middleware needs from a storage system. It is for
// backend authors; applications do not need it. Package session has the same names, and
// session.NewStore makes a Store of a Backend. Package drivertest tests a Backend.
//
// A Backend moves bytes and times, and knows nothing of HTTP, encodings or Go values. The
// rules below apply to all of its methods.
//
// The library passes only IDs that ValidID accepts.
//
// All methods may be called concurrently, by many goroutines and by several processes that
// share the storage. Each must be atomic: it takes effect as a whole or not at all, even if
// the process is killed halfway. If the context has ended, each must return an error that
// wraps the context's, even if there is nothing to wait for. After an error other than the
// sentinels, the call may or may not have taken effect. What one call has stored, the next one
// sees, in any process.
//
// Byte slices belong to the caller: a backend copies what it keeps, and never changes what it
// has returned.
//
// Replace, Move and Touch are compare-and-swap. They take the old record that the caller last
// saw, and take effect only if the record under the ID still holds exactly the bytes of
// old.Data. Otherwise they change nothing and return ErrConflict, whether the record has
// changed or is missing. They ignore old.Expiry, which may have been truncated, or changed
// without a new version.
//
// If Load sets Record.Version, a backend may compare old.Version instead of the bytes. This is
// stricter: a record that has only been touched since may be a conflict, after which the
// library loads again. Writes return no version, so after a write the library passes the data
// that it stored and a nil Version; the backend then compares the data.
//
// Methods need not check whether a record has expired: the library does. Create may return
// ErrExists for an expired record that is still there, since IDs are random. Touch may extend
// one, for a request that loaded it in time.
//
// A call should cost one round trip. Optional abilities are interfaces, found by type
// assertion: io.Closer, if there are connections or goroutines to end, ManyLoader, LoadSharer,
// OneStepMover, Counter and Lister.
package driver

import (
	"context"
	"errors"
	"iter"
	"time"
)

// The conditions that a Backend distinguishes. They may be wrapped; the library checks
// them with errors.Is. Every other error fails the request, as ErrUnavailable does.
var (
	// ErrNotFound: there is no record under the ID.
	ErrNotFound = errors.New("session: not found")
	// ErrExists: the ID of a new record is taken.
	ErrExists = errors.New("session: ID exists")
	// ErrConflict: the record is gone, or is no longer the one that the caller last saw.
	ErrConflict = errors.New("session: conflict")
	// ErrUnreadable: what is stored under the ID can never be read as a record. Only Load
	// returns it, wrapped with the reason. The visitor loses the session, and the error is
	// reported, as for data that cannot be decoded. Most backends have no such case.
	ErrUnreadable = errors.New("session: unreadable record")
	// ErrUnavailable: the storage system cannot be reached at the moment. There is no
	// connection, it is starting up or failing over, it has too many connections, or a call
	// timed out. The condition passes by itself, so at start it does not keep the server from
	// starting. Any other error is returned by NewManager, since a wrong password, table or
	// option does not pass by itself. A backend returns it, wrapped, for conditions that only
	// it can recognize; the end of a context, a net.Error, a refused connection and io.EOF
	// count as unavailable without it.
	ErrUnavailable = errors.New("session: store unavailable")
)

// Record is what a Backend stores under a session ID.
type Record struct {
	// Data is the encoded session, opaque to the backend. It may be empty. The bytes are
	// immutable: the backend does not change those that Load returned, nor the library those
	// that it passes.
	Data []byte
	// Expiry is the moment from which the record counts as gone. A backend keeps it with a
	// resolution of at least a millisecond, and never makes it later, except by the duration
	// of the call if the storage system takes a time to live.
	Expiry time.Time
	// Version is for storage systems that number their revisions. Load may set it; the next
	// call receives it in its old record, and may compare it instead of the data. The library
	// never looks into it. Most backends ignore it.
	Version any
}

// Backend is a storage system as the library sees it. The package comment has the rules for
// all of its methods.
type Backend interface {
	// Load returns the record under the ID, or ErrNotFound. It may return an expired record:
	// the library checks its Expiry.
	Load(ctx context.Context, id string) (Record, error)
	// Create stores a record under a free ID. If the ID is taken, it changes nothing and
	// returns ErrExists.
	Create(ctx context.Context, id string, r Record) error
	// Replace stores r in place of old, or returns ErrConflict.
	Replace(ctx context.Context, id string, old, r Record) error
	// Move does what Replace does, and makes newID the record's only ID. It returns
	// ErrConflict like Replace, and ErrExists if newID is taken; the record then stays as it
	// was. A backend that cannot change an ID in one step creates the new record, then removes
	// the old one if it is unchanged. If it has changed, the backend undoes the first step: it
	// removes the new record if that still holds what was stored. Others may have changed or
	// ended it meanwhile, and what they stored stays. ErrConflict promises that nothing of r
	// is left under newID; if the undo fails too, so that this is uncertain, return another
	// error.
	Move(ctx context.Context, id, newID string, old, r Record) error
	// Touch changes only the expiry, or returns ErrConflict. It never creates a record, and
	// must not change the expiry of one that has been replaced: another request may just have
	// decided how long the session lasts.
	Touch(ctx context.Context, id string, old Record, expiry time.Time) error
	// Delete removes the record. A missing record is not an error.
	Delete(ctx context.Context, id string) error
	// DeleteExpired removes records whose expiry is not after now, at most limit of them in
	// one statement, so that no table or key space stays locked for long. It returns how many
	// it removed. Unless that is less than the limit, the library calls it again, after a
	// pause as long as the call took. If removals block nobody, a backend may remove all at
	// once and return 0. If the storage system removes expired records by itself, the method
	// does nothing.
	DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error)
}

// Counter is a Backend that can count live sessions. It is optional: Manager.Count of package
// session needs it. A Store of your own may have the method too.
type Counter interface {
	// Count returns how many records have an expiry after now, except those whose IDs are
	// OwnIDs, which are not sessions. It may be called concurrently, and returns an error when
	// the context ends.
	Count(ctx context.Context, now time.Time) (int, error)
}

// Lister is a Backend that can list its records. It is optional: Manager.EndEverybody of
// package session needs it.
type Lister interface {
	// IDs yields the ID of every record that exists from the first ID to the last. It may also
	// yield records that exist for only part of that time, expired ones, and any ID twice, in
	// any order. The caller may call any method during the iteration. An error is the last
	// thing that it yields; if the context has ended, the only one. It may be called
	// concurrently.
	IDs(ctx context.Context) iter.Seq2[string, error]
}

// ManyLoader is a Backend that can load several records in one round trip. It is optional:
// without it, Manager.Sessions of package session, and the sign-in of an owner who has other
// sessions, cost one Load for each session.
type ManyLoader interface {
	// LoadMany returns the records under the IDs, as Load would, in any order and not
	// necessarily all as of one moment. Records that Load would not find, or could not read,
	// are omitted. There may be any number of IDs, and duplicates among them. It may be called concurrently, and returns an error when the context has
	// ended.
	LoadMany(ctx context.Context, ids []string) (map[string]Record, error)
}

// OneStepMover is a Backend whose Move is one step: nobody ever sees both records, or neither,
// and there is nothing to undo. It is optional: without it, a new ID costs one more Load, by
// which the library makes sure that an ended session does not come back.
type OneStepMover interface {
	// MovesInOneStep reports whether Move is one step. It may be called concurrently, and
	// before each move.
	MovesInOneStep() bool
}

// LoadSharer is a Backend that lets the loads of concurrent requests share round trips.
// It is optional: on a busy server, it more than doubles the number of requests a second.
type LoadSharer interface {
	Backend
	ManyLoader
	// SharesLoads reports whether no record can delay the others in the same LoadMany. On a
	// system of several servers, a record whose own server is down could. It may be called
	// concurrently, and before each load.
	SharesLoads() bool
}
