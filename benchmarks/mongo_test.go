package benchmarks

import (
	"context"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	drivermongo "go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/mongo"
)

// mongoStores are two collections over one connection. The stores are made first,
// and with them the indexes.
func mongoStores(t *testing.T, few, many int) (small, large session.Store) {
	s := testserver.Mongo(t)
	ctx := context.Background()
	c, err := drivermongo.Connect(ctx, options.Client().ApplyURI(s.DSN).SetRetryWrites(false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Disconnect(ctx) })
	db := c.Database("scale")
	if err := db.Drop(ctx); err != nil {
		t.Fatal(err)
	}
	open := func(name string, n int) session.Store {
		m := manager(t, session.Options{Initer: mongo.Initer(), Config: mongo.Config{Client: c, Database: "scale", Collection: name}})
		d, expiry := data(t), time.Now().Add(time.Hour)
		for from := 0; from < n; from += 10_000 {
			var docs []any
			for i := from; i < min(n, from+10_000); i++ {
				docs = append(docs, bson.D{{Key: "key", Value: key(i)}, {Key: "data", Value: d}, {Key: "expired_at", Value: expiry}})
			}
			if _, err := db.Collection(name).InsertMany(ctx, docs, options.InsertMany().SetOrdered(false)); err != nil {
				t.Fatal(err)
			}
		}
		return m.Store()
	}
	return open("small", few), open("large", many)
}
