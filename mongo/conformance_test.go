package mongo

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"

	"github.com/flamego/session"
	"github.com/flamego/session/driver/drivertest"
	"github.com/flamego/session/test/backendtest"
)

func TestConformance(t *testing.T) {
	server := start(t)
	var s setup
	drivertest.Suite{
		Open: func(t *testing.T) func() session.Options {
			s = server.fresh()
			return func() session.Options { return session.Options{Initer: Initer(), Config: s.config()} }
		},
		Corrupt: func(t *testing.T, id string) {
			res, err := s.admin(t).UpdateOne(t.Context(), key(id), bson.D{{Key: "$set", Value: bson.D{dataIs([]byte("garbage"))}}})
			require.NoError(t, err)
			require.EqualValues(t, 1, res.MatchedCount)
		},
	}.Run(t)
}

func TestProcesses(t *testing.T) {
	server := start(t)
	drivertest.Processes(t, "mongo", func(t *testing.T) string {
		arg, err := json.Marshal(server.fresh())
		require.NoError(t, err)
		return string(arg)
	})
}

func TestRawStorage(t *testing.T) {
	server := start(t)
	backendtest.Encrypted(t, func(t *testing.T, enc session.Encoder, dec session.Decoder) (session.Options, func(*testing.T) []byte) {
		s := server.fresh()
		cfg := s.config()
		cfg.Encoder, cfg.Decoder = enc, dec
		return session.Options{Initer: Initer(), Config: cfg}, func(t *testing.T) []byte {
			found, err := s.admin(t).Find(t.Context(), bson.D{})
			require.NoError(t, err)
			var all []byte
			for found.Next(t.Context()) {
				all = append(all, found.Current...)
			}
			require.NoError(t, found.Err())
			return all
		}
	})
}
