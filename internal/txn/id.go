package txn

import (
	"crypto/rand"

	"github.com/flamego/session/driver"
)

// NewID returns n random characters. Each carries five bits from the system's
// cryptographic source: 32 letters divide a byte's range evenly, so none is
// likelier than another.
func NewID(n int) string {
	var buf [driver.MaxIDLength]byte
	b := buf[:n]
	_, _ = rand.Read(b) // Never fails: the program ends when there is no source.
	return letter(b)
}

// letter makes an ID of random bytes, which it overwrites.
func letter(b []byte) string {
	const letters = "0123456789abcdefghijklmnopqrstuv"
	for i := range b {
		b[i] = letters[b[i]&31]
	}
	return string(b)
}
