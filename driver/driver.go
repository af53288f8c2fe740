// Package driver defines what the session middleware needs from a storage system. It
// is for backend authors; applications do not need it. Package session has the same
// names, and session.NewStore makes a Store of a Backend. Package drivertest tests one.
//
// A Backend moves bytes and times, and knows nothing of HTTP, encodings or Go values.
// What follows holds for all of its methods.
//
// IDs are those that ValidID accepts; the library checks them before every call.
//
// All methods may be called concurrently, by many goroutines and by several processes
// that share the storage. Each must take effect as a whole or not at all, even if the
// process is killed in the middle. When the context has ended, each must return an
// error that wraps the context's, even if there is nothing to wait for. After an error
// other than the sentinels, the call may or may not have taken effect. What one call
// has stored, the next one sees, in any process.
//
// Byte slices belong to the caller: a backend copies what it keeps, and does not touch
// what it has returned.
//
// Replace, Move and Touch are compare-and-swap. They get the old record that the caller
// has seen, and take effect only if the record under the ID still holds exactly the
// bytes of old.Data. Otherwise they change nothing and return ErrConflict; they need
// not distinguish a changed record from a missing one. They ignore old.Expiry, which
// may have been truncated, or changed without a new version.
//
// If Load has set old.Version, a backend may compare that instead. It is stricter: a
// record that has only been touched since may be a conflict, and the library loads
// again. A write returns no version, so the library goes on with the data that it has
// just stored and a nil Version; the backend then compares the data.
//
// Methods do not check whether a record has expired meanwhile: the library has. An
// expired record that is still there may make Create return ErrExists, since IDs are
// random, and may be touched by a request that loaded it in time.
//
// One call should cost one round trip. Optional abilities are interfaces, found by type
// assertion: io.Closer, if there are connections or goroutines to end, ManyLoader,
// LoadSharer, OneStepMover, Counter and Lister.
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
	// ErrNotFound says that there is no record under the ID.
	ErrNotFound = errors.New("session: not found")
	// ErrExists says that the ID of a new record is taken.
	ErrExists = errors.New("session: ID exists")
	// ErrConflict says that the record is gone, or is no longer the one that the caller
	// last saw.
	ErrConflict = errors.New("session: conflict")
	// ErrUnreadable says that what is under the ID can never become a record. Only Load
	// returns it, wrapped with the reason. It costs the visitor that session and is
	// reported, like data that cannot be decoded. Most backends have no such case.
	ErrUnreadable = errors.New("session: unreadable record")
	// ErrUnavailable says that the storage system cannot be reached at the moment: there
	// is no connection, it is starting up or failing over, it has too many connections, or
	// a call took too long. Nobody has to do anything about that but wait. So at start the
	// server starts all the same, while any other error is returned by NewManager: a
	// wrong password, table or option does not pass by itself. A backend wraps it around
	// what only it can recognize; an end of the context, a net.Error, a connection that is
	// refused, and io.EOF mean the same without it.
	ErrUnavailable = errors.New("session: store unavailable")
)

// Record is what a Backend stores under a session ID.
type Record struct {
	// Data is the encoded session, opaque to the backend. It may be empty. Nobody changes
	// the bytes any more: neither the backend those that Load returned, nor the library
	// those that it gives.
	Data []byte
	// Expiry is the moment from which the record counts as gone. A backend keeps at
	// least milliseconds of it, and must never make it later, except by the duration of
	// the call if the storage system takes a time to live.
	Expiry time.Time
	// Version is for storage systems that number their revisions. Load may set it; the
	// old record of the next call has it, and that call may compare it instead of the
	// data. The library never looks into it. Most backends leave it alone.
	Version any
}

// Backend is a storage system as the library sees it. The package comment says
// what holds for all of its methods.
type Backend interface {
	// Load returns the record under the ID, or ErrNotFound. It may return an expired
	// record: the library checks its Expiry.
	Load(ctx context.Context, id string) (Record, error)
	// Create stores a record under a free ID. If the ID is taken, it changes nothing
	// and returns ErrExists.
	Create(ctx context.Context, id string, r Record) error
	// Replace stores r instead of old, or returns ErrConflict.
	Replace(ctx context.Context, id string, old, r Record) error
	// Move does what Replace does, and makes newID the record's only ID. It returns
	// ErrConflict like Replace, and ErrExists if newID is taken; the record then stays
	// as it was. A backend that cannot change an ID in one step stores the new record,
	// removes the old one if it is still the same, and otherwise undoes the first step:
	// it removes the new record if that still holds what it has stored. Others may have
	// changed or ended it meanwhile, and what they have put there stays. ErrConflict
	// promises that nothing of r is left under newID; a backend that cannot make sure of
	// that, because the undo has failed as well, returns another error.
	Move(ctx context.Context, id, newID string, old, r Record) error
	// Touch changes only the expiry, or returns ErrConflict. It creates no record, and
	// must not change the expiry of one that has been replaced: another request may
	// just have decided how long the session lasts.
	Touch(ctx context.Context, id string, old Record, expiry time.Time) error
	// Delete removes the record. A missing record is not an error.
	Delete(ctx context.Context, id string) error
	// DeleteExpired removes records whose expiry is not after now, at most limit of
	// them in one statement, so that no table or key space stays locked for long. It
	// returns how many it removed. Unless that is less than the limit, the library
	// calls it again, after a pause as long as the call took. A backend whose removals
	// block nobody may remove all at once, and return 0. If the storage system removes
	// expired records by itself, the method does nothing.
	DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error)
}

// Counter is a Backend that can count live sessions. It is optional: Manager.Count of
// package session needs it. A Store of your own may have the method too.
type Counter interface {
	// Count returns how many records have an expiry after now, without those whose IDs are
	// OwnIDs: they are no sessions. It may be called concurrently, and returns an error
	// when the context ends.
	Count(ctx context.Context, now time.Time) (int, error)
}

// Lister is a Backend that can list its records. It is optional: Manager.EndEverybody of
// package session needs it.
type Lister interface {
	// IDs yields the ID of every record that is there all the time until the last one. It
	// may yield others that are there for a part of it, and expired ones, and any ID twice,
	// in any order. Meanwhile the one who ranges over it may call any method. An error is the
	// last thing that it yields, at once if the context has ended. It may be called
	// concurrently.
	IDs(ctx context.Context) iter.Seq2[string, error]
}

// ManyLoader is a Backend that can load several records in one round trip. It is
// optional: Manager.Sessions of package session, and a sign-in of an owner who has other
// sessions, would otherwise cost one Load for each.
type ManyLoader interface {
	// LoadMany returns the records under the IDs, as Load would. Those that Load would
	// not find, or not be able to read, are left out. There may be any number of IDs, and
	// duplicates among them. It may be called concurrently, and returns an error when the
	// context has ended.
	LoadMany(ctx context.Context, ids []string) (map[string]Record, error)
}

// OneStepMover is a Backend whose Move is one step: nobody sees both records, or neither,
// and there is nothing to undo. It is optional: for any other, a new ID costs one more Load,
// with which the library makes sure that a session which has ended does not come back.
type OneStepMover interface {
	// MovesInOneStep reports whether that is so. It may be called concurrently, and before
	// each move.
	MovesInOneStep() bool
}

// LoadSharer is a Backend that lets the loads of concurrent requests share round trips.
// It is optional: on a busy server, it more than doubles the number of requests a second.
type LoadSharer interface {
	Backend
	ManyLoader
	// SharesLoads reports whether no record can keep others in the same LoadMany waiting,
	// as one could on a system of several servers, while its own server is down. It may
	// be called concurrently, and before each load.
	SharesLoads() bool
}
