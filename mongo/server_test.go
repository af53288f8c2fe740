package mongo

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/flamego/session"
	"github.com/flamego/session/driver/drivertest"
	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/test/backendtest"
)

func TestMain(m *testing.M) {
	drivertest.Main(m, map[string]func(string) session.Options{"mongo": func(arg string) session.Options {
		var s setup
		if err := json.Unmarshal([]byte(arg), &s); err != nil {
			panic(err)
		}
		return session.Options{Initer: Initer(), Config: s.config()}
	}})
}

// setup says where sessions are, also to another process.
type setup struct{ URI, Database, Collection string }

var names atomic.Int64

// start is a database on a server that others use, too.
func start(t testing.TB) setup { t.Helper(); return on(t, testserver.Mongo.Get(t)) }

// on is a database that is dropped at the end.
func on(t testing.TB, server *testserver.Server) setup {
	t.Helper()
	s := setup{URI: server.DSN, Database: fmt.Sprintf("test_%d_%d", os.Getpid(), names.Add(1))}.fresh()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		c, err := mongo.Connect(ctx, options.Client().ApplyURI(s.URI))
		if err == nil {
			_ = c.Database(s.Database).Drop(ctx)
			_ = c.Disconnect(ctx)
		}
	})
	return s
}

// fresh is another collection.
func (s setup) fresh() setup {
	s.Collection = fmt.Sprint("sessions", names.Add(1))
	return s
}

func (s setup) config() Config {
	return Config{Options: options.Client().ApplyURI(s.URI), Database: s.Database, Collection: s.Collection}
}

// admin is the collection over a client of the test's own.
func (s setup) admin(t testing.TB) *mongo.Collection {
	t.Helper()
	c, err := mongo.Connect(t.Context(), options.Client().ApplyURI(s.URI))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Disconnect(context.Background()) })
	return c.Database(s.Database).Collection(s.Collection)
}

// newBackend opens a backend that is closed with the test.
func newBackend(t testing.TB, cfg Config) *backend {
	t.Helper()
	return backendtest.Open(t, open, cfg)
}

// What all backends are tested with.
var (
	later    = backendtest.Later
	record   = backendtest.Record
	loadData = backendtest.Data
)

func key(id string) bson.D { return bson.D{{Key: "key", Value: id}} }
