package session

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/flamego/session/driver"
)

const (
	// defaultIDLength gives 160 random bits (OWASP ASVS 5.0 7.2.3 asks for 128).
	defaultIDLength = 32
	// safeIDLength is the least that gives 128 bits.
	safeIDLength = 26
	// legacyIDLength is what v1.6.6 made by default. Such IDs are in browsers, and
	// stay good while their records exist.
	legacyIDLength   = 16
	minimumSIDLength = driver.MinIDLength
	maxIDLength      = driver.MaxIDLength
)

// ErrMinimumSIDLength is returned by a Store that is asked for an ID of fewer
// than three characters.
var ErrMinimumSIDLength = fmt.Errorf("session: the ID is shorter than %d characters", minimumSIDLength)

var errInvalidID = errors.New("session: the ID has characters other than 0-9 and a-z, or too many of them")

// newID returns n random characters. Each carries five bits from the system's
// cryptographic source: 32 letters divide a byte's range evenly, so none is
// likelier than another.
func newID(n int) string {
	const letters = "0123456789abcdefghijklmnopqrstuv"
	var buf [maxIDLength]byte
	b := buf[:n]
	_, _ = rand.Read(b) // Never fails: the program ends when there is no source.
	for i := range b {
		b[i] = letters[b[i]&31]
	}
	return string(b)
}

// validID tells whether the string may be given to a store: nothing that comes
// from a client gets further before this said yes.
func validID(id string, least int) bool {
	return len(id) >= least && driver.ValidID(id)
}

// checkID is validID for the IDs that applications pass to a Store.
func checkID(id string) error {
	switch {
	case len(id) < minimumSIDLength:
		return ErrMinimumSIDLength
	case !validID(id, minimumSIDLength):
		return errInvalidID
	}
	return nil
}
