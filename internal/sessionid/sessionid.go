// Package sessionid makes the IDs of sessions, and those of the library's own records.
package sessionid

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"github.com/flamego/session/driver"
)

// New returns n random characters. Each carries five bits from the system's
// cryptographic source: 32 letters divide a byte's range evenly, so none is
// likelier than another.
func New(n int) string {
	var buf [driver.MaxIDLength]byte
	b := buf[:n]
	_, _ = rand.Read(b) // Never fails: the program ends when there is no source.
	return Letters(b)
}

const letters = "0123456789abcdefghijklmnopqrstuv"

// Letters makes an ID of random bytes, which it overwrites.
func Letters(b []byte) string {
	for i := range b {
		b[i] = letters[b[i]&31]
	}
	return string(b)
}

// A key is not an ID that a client may present: it is that of one of the library's own
// records, see driver.OwnID, or the hash of an ID, under which a storage keeps a session with
// Options.HashIDs: this prefix with a SHA-256 in 52 characters. The library makes no ID that
// looks like a key: the letters of its IDs end at v.
const keyPrefix = "z"

// KeyOf returns the key for an ID, or for a key, as the library's own records have it.
func KeyOf(id string) string {
	if IsKey(id) {
		return id
	}
	return keyPrefix + Derived(id)
}

// IsKey reports whether the string looks like a key.
func IsKey(id string) bool {
	return len(id) == driver.OwnIDLength && (id[:1] == keyPrefix || id[:1] == driver.OwnIDPrefix) && strings.Trim(id[1:], letters) == ""
}

// Valid reports whether a client may present the string as an ID of this length at least.
// A key is none, with Options.HashIDs or without: what somebody reads in a storage must not
// open a session on a server that does not hash IDs yet, or any more.
func Valid(id string, least int) bool {
	return len(id) >= least && driver.ValidID(id) && !IsKey(id)
}

// Own is the ID of a record of the library's own.
func Own(name string) string { return driver.OwnIDPrefix + Derived(name) }

// Derived is a SHA-256 in base32.
func Derived(name string) string {
	sum := sha256.Sum256([]byte(name))
	return strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
}
