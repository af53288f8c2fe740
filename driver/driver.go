// Package driver says what the session middleware needs of a storage system. It
// is for backend authors; applications need nothing of it. Package session has
// the same names, and session.NewStore makes a Store of a Backend.
//
// A Backend moves bytes and times, and knows nothing of HTTP, of encodings or of
// Go values. What follows holds for all of its methods.
//
// IDs are those that ValidID accepts; the library checks them before every call.
//
// All methods may be called concurrently, by many goroutines and by several
// processes that share the storage. Each must take effect as a whole or not at
// all, also when the process is killed in the middle, and must give up when the
// context ends, with an error that wraps the context's, even if there is no need
// to wait. After an error other than the sentinels it may or may not have taken
// effect. What one call has stored the next one sees, in whatever process.
//
// Byte slices belong to the caller: a backend copies what it keeps, and never
// again touches what it returned.
//
// Replace, Move and Touch are given the old record, which the caller has seen, and
// take effect only if the one under the ID is still the same: if it holds exactly
// the bytes of old.Data. Otherwise they change nothing and return ErrConflict; they
// need not tell a changed record from a missing one. old.Expiry says nothing, since
// it may have been cut off or changed without another version.
//
// If old.Version is set, which it is only if Load has set it, a backend may compare
// that instead. It is stricter: a record that has only been touched since may be a
// conflict, and the library loads again. What a write returns tells no version, so
// the library goes on with the data that it has just stored, and a nil Version; a
// backend then compares the data.
//
// Whether a record has expired meanwhile is not to be looked at: the library has
// done so. An expired record that is still there may keep its ID from Create, as
// IDs are random, and may be touched: by a request that loaded it in time.
//
// One call is meant to cost one round trip. Further abilities are optional
// interfaces, found by type assertion: io.Closer, when there are connections or
// goroutines to end, and Counter.
package driver

import (
	"context"
	"errors"
	"time"
)

// The conditions a Backend tells apart. They may be wrapped; the library looks
// for them with errors.Is. Every other error means that the storage system
// could not do its work, and fails the request.
var (
	// ErrNotFound says that there is no record under the ID.
	ErrNotFound = errors.New("session: not found")
	// ErrExists says that the ID of a new record is taken.
	ErrExists = errors.New("session: ID exists")
	// ErrConflict says that the record is gone or is no longer the one that the
	// caller last saw.
	ErrConflict = errors.New("session: conflict")
	// ErrUnreadable says that there is something under the ID of which no record
	// can be made. Only Load returns it, wrapped with the reason: it costs the
	// visitor that session and is reported, like data that cannot be decoded. Most
	// backends have no such case.
	ErrUnreadable = errors.New("session: unreadable record")
)

// Record is what a Backend stores under a session ID.
type Record struct {
	// Data is the encoded session, opaque to the backend. It may be empty.
	Data []byte
	// Expiry is the moment from which the record counts as gone. A backend keeps
	// at least milliseconds of it and must never make it later, but for what the call
	// takes where the storage system has to be told how much of it is left.
	Expiry time.Time
	// Version is for storage systems that number their revisions: Load may fill it
	// in, and it comes back in the old record of the next call, which then may
	// compare it in place of the data. The library never looks into it. Most
	// backends leave it alone.
	Version any
}

// Backend is a storage system as the library sees it. The package comment says
// what holds for all of its methods.
type Backend interface {
	// Load returns the record under the ID, or ErrNotFound. An expired record may
	// be returned or not: the library looks at its Expiry.
	Load(ctx context.Context, id string) (Record, error)
	// Create stores a record under an ID that is free, otherwise it changes nothing
	// and returns ErrExists.
	Create(ctx context.Context, id string, r Record) error
	// Replace stores r in the place of old, or returns ErrConflict.
	Replace(ctx context.Context, id string, old, r Record) error
	// Move does what Replace does and makes newID the record's only ID. It returns
	// ErrConflict like Replace, and ErrExists when newID is taken; the record then
	// stays as it was. A backend that cannot change an ID in one step stores the
	// new record first, then removes the old one if it still is old, and undoes
	// the first step when it is not: ErrConflict says that nothing is left under
	// newID.
	Move(ctx context.Context, id, newID string, old, r Record) error
	// Touch changes only the expiry, or returns ErrConflict. It makes no record, and
	// must not change the expiry of one that has been replaced: another request may
	// just have decided how long the session lasts.
	Touch(ctx context.Context, id string, old Record, expiry time.Time) error
	// Delete removes the record. A record that is not there is no error.
	Delete(ctx context.Context, id string) error
	// DeleteExpired removes records whose expiry is not after now, at most limit of
	// them in one statement, so that no table or key space stays locked for long.
	// It returns how many it removed; the library calls it again, after a pause as
	// long as the call took, unless that is less than the limit. A backend whose
	// removals hold up nobody may remove all at once, and return 0. Where the storage
	// system removes expired records by itself, it does nothing.
	DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error)
}

// Counter is a Backend that knows how many sessions are alive. It is optional: it
// is what Manager.Count of package session needs. A Store of your own may have the method, too.
type Counter interface {
	// Count returns how many records have an expiry after now, swept or not. It may
	// be called concurrently, and gives up with an error when the context ends. A
	// backend that cannot afford to look every time may return what it found a
	// moment ago; it then says in its documentation how long ago that may be.
	Count(ctx context.Context, now time.Time) (int, error)
}
