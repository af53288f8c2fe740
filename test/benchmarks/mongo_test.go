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
	s := testserver.Mongo.Get(t)
	ctx := context.Background()
	c, err := drivermongo.Connect(ctx, options.Client().ApplyURI(s.DSN).SetRetryWrites(false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Disconnect(ctx) })
	if err := c.Database("scale").Drop(ctx); err != nil {
		t.Fatal(err)
	}
	expiry := time.Now().Add(time.Hour)
	m, _ := mongoStore(t, c, "small", few, expiry)
	l, _ := mongoStore(t, c, "large", many, expiry)
	return m.Store(), l.Store()
}

// mongoStore makes a collection with n sessions.
func mongoStore(t *testing.T, c *drivermongo.Client, name string, n int, expiry time.Time) (*session.Manager, *drivermongo.Collection) {
	m := manager(t, session.Options{Initer: mongo.Initer(), Config: mongo.Config{Client: c, Database: "scale", Collection: name}})
	coll := c.Database("scale").Collection(name)
	fillCollection(t, coll, 0, n, expiry)
	return m, coll
}

// fillCollection makes n sessions, whose numbers begin at first.
func fillCollection(t *testing.T, coll *drivermongo.Collection, first, n int, expiry time.Time) {
	d := data(t)
	for from, end := first, first+n; from < end; from += 10_000 {
		var docs []any
		for i := from; i < min(end, from+10_000); i++ {
			docs = append(docs, bson.D{{Key: "key", Value: key(i)}, {Key: "data", Value: d}, {Key: "expired_at", Value: expiry}})
		}
		if _, err := coll.InsertMany(context.Background(), docs, options.InsertMany().SetOrdered(false)); err != nil {
			t.Fatal(err)
		}
	}
}
