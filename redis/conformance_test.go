package redis

import (
	"encoding/json"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/driver/drivertest"
	"github.com/flamego/session/test/backendtest"
)

// TestKinds runs what holds on every kind of set-up on each of them.
func TestKinds(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			server := kind.start(t)
			for name, test := range map[string]func(*testing.T, *backend){
				"CountKeys": countKeys,
			} {
				t.Run(name, func(t *testing.T) {
					s := server.fresh()
					c := s.client()
					if c != nil {
						t.Cleanup(func() { assert.NoError(t, c.Close()) })
					}
					test(t, newBackend(t, s.config(c)))
				})
			}
			t.Run("Contract", func(t *testing.T) { contract(t, server) })
			t.Run("Conformance", func(t *testing.T) { conformance(t, server) })
			if !server.Ring { // Its client does nothing else than the plain one, twice.
				t.Run("Processes", func(t *testing.T) { processes(t, server) })
			}
		})
	}
}

func conformance(t *testing.T, server setup) {
	admin := server.admin(t)
	var s setup
	drivertest.Suite{
		Open: func(t *testing.T) func() session.Options {
			s = server.fresh()
			c := s.client() // One for all servers, as the application's own.
			if c != nil {
				t.Cleanup(func() { assert.NoError(t, c.Close()) })
				// Clients of Sentinel and Cluster start goroutines with the first command,
				// which are not the library's.
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
		OwnClock: true,
	}.Run(t)
}

func processes(t *testing.T, server setup) {
	drivertest.Processes(t, "redis", func(t *testing.T) string {
		arg, err := json.Marshal(server.fresh())
		require.NoError(t, err)
		return string(arg)
	})
}

func TestRawStorage(t *testing.T) {
	server := kinds[0].start(t)
	admin := server.admin(t)
	backendtest.Encrypted(t, func(t *testing.T, enc session.Encoder, dec session.Decoder) (session.Options, func(*testing.T) []byte) {
		s := server.fresh()
		c := s.client()
		if c != nil {
			t.Cleanup(func() { assert.NoError(t, c.Close()) })
		}
		cfg := s.config(c)
		cfg.Encoder, cfg.Decoder = enc, dec
		return session.Options{Initer: Initer(), Config: cfg}, func(t *testing.T) []byte {
			keys, err := admin.Keys(t.Context(), s.Prefix+"*").Result()
			require.NoError(t, err)
			var all []byte
			for _, key := range keys {
				b, err := admin.Get(t.Context(), key).Bytes()
				require.NoError(t, err)
				all = append(append(all, key...), b...)
			}
			return all
		}
	})
}
