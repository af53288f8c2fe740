package redis

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/sessiontest"
)

func TestConformance(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			server := kind.start(t)
			admin := server.admin(t)
			var s setup
			sessiontest.Suite{
				Open: func(t *testing.T) func() session.Options {
					s = server.fresh()
					c := s.client() // One for all servers, as the application's own.
					if c != nil {
						t.Cleanup(func() { require.NoError(t, c.Close()) })
						require.NoError(t, c.Ping(t.Context()).Err())
					}
					return func() session.Options {
						return session.Options{Initer: Initer(), Config: s.config(c)}
					}
				},
				Corrupt: func(t *testing.T, id string) {
					res, err := admin.SetXX(t.Context(), s.Prefix+id, "garbage", redis.KeepTTL).Result()
					require.NoError(t, err)
					require.True(t, res)
				},
			}.Run(t)
		})
	}
}

func TestProcesses(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			server := kind.start(t)
			sessiontest.Processes(t, "redis", func(t *testing.T) string {
				arg, err := json.Marshal(server.fresh())
				require.NoError(t, err)
				return string(arg)
			})
		})
	}
}

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
