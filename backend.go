package session

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
	// ErrConflict says that the record is gone or no longer holds the bytes that
	// the caller last saw.
	ErrConflict = errors.New("session: conflict")
)

// Record is what a Backend stores under a session ID.
type Record struct {
	// Data is the encoded session, opaque to the backend. It may be empty.
	Data []byte
	// Expiry is the moment from which the record counts as gone. A backend keeps
	// at least milliseconds of it and must never make it later.
	Expiry time.Time
}

// Backend is a storage system as the library sees it: it moves bytes and times,
// and knows nothing of HTTP, of encodings or of Go values. NewStore makes a
// Store of it.
//
// IDs are 3 to 128 characters of [0-9a-z]; the library checks them before every
// call. All methods may be called concurrently, by many goroutines and by
// several processes that share the storage. Each must take effect as a whole or
// not at all, also when the process is killed in the middle, and must give up
// with an error when the context ends. After an error other than the sentinels
// it may or may not have taken effect. Byte slices belong to the caller: a
// backend copies what it keeps, and never again touches what it returned.
//
// One call is meant to cost one round trip. Further abilities are optional
// interfaces, found by type assertion: io.Closer, when there are connections or
// goroutines to end, and Counter.
type Backend interface {
	// Load returns the record under the ID, or ErrNotFound. An expired record may
	// be returned or not: the library looks at its Expiry.
	Load(ctx context.Context, id string) (Record, error)
	// Create stores a record under an ID that is free, otherwise it changes nothing
	// and returns ErrExists.
	Create(ctx context.Context, id string, r Record) error
	// Replace stores the record if the one under the ID still holds exactly the
	// bytes of old, otherwise it changes nothing and returns ErrConflict. It need
	// not tell a changed record from a missing one.
	Replace(ctx context.Context, id string, old []byte, r Record) error
	// Move does what Replace does and makes newID the record's only ID. It returns
	// ErrConflict like Replace, and ErrExists when newID is taken; the record then
	// stays as it was. A backend that cannot change an ID in one step stores the
	// new record first, then removes the old one if it still holds old, and undoes
	// the first step when it does not.
	Move(ctx context.Context, id, newID string, old []byte, r Record) error
	// Touch changes only the expiry. It returns ErrNotFound when there is no
	// record, and never makes one.
	Touch(ctx context.Context, id string, expiry time.Time) error
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
