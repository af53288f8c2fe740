package cookie

import (
	"bytes"
	"testing"

	"github.com/flamego/session"
	"github.com/flamego/session/driver/drivertest"
)

// key returns a key that differs with n.
func key(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

func TestConformance(t *testing.T) {
	for name, cookie := range map[string]session.CookieOptions{
		"Plain": {},
		"TLS":   {Name: "__Host-session", Secure: true},
	} {
		t.Run(name, func(t *testing.T) {
			drivertest.Suite{
				ClientSide: true,
				Open: func(*testing.T) func() session.Options {
					return func() session.Options {
						return session.Options{Initer: Initer(), Config: Config{Keys: [][]byte{key(1)}}, Cookie: cookie}
					}
				},
			}.Run(t)
		})
	}
}
