package compat

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/test/compat/legacy/app"
)

func init() { storages = append(storages, postgresStorage, mysqlStorage, redisStorage, mongoStorage) }

var databases atomic.Int64

// freshName is a name that no other test has.
func freshName() string {
	return fmt.Sprintf("compat_%d_%d_%d", os.Getpid(), time.Now().UnixNano()%1e9, databases.Add(1))
}

// sqlStorage is that of a database server. Queries are written with "?".
func sqlStorage(name, driver, shift string, kind *testserver.Kind, fresh func(dsn, db string) string) storage {
	open := func(t *testing.T, dsn string) *sql.DB {
		t.Helper()
		db, err := sql.Open(driver, dsn)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		return db
	}
	key := "key"
	number := func(q string) string { return q }
	if driver == "mysql" {
		key = "`key`"
	} else {
		number = func(q string) string {
			for n := 1; strings.Contains(q, "?"); n++ {
				q = strings.Replace(q, "?", fmt.Sprint("$", n), 1)
			}
			return q
		}
	}
	return storage{
		name: name,
		config: func(t *testing.T) app.Config {
			dsn := kind.Get(t).DSN
			db := freshName()
			_, err := open(t, dsn).Exec("CREATE DATABASE " + db)
			require.NoError(t, err)
			return app.Config{Store: name, Path: fresh(dsn, db), InitTable: true, Lifetime: lifetime}
		},
		age: func(t *testing.T, cfg app.Config, id string, by time.Duration) {
			_, err := open(t, cfg.Path).Exec(number("UPDATE sessions SET expired_at = "+shift+" WHERE "+key+" = ?"), by.Seconds(), id)
			require.NoError(t, err)
		},
		duplicate: func(t *testing.T, cfg app.Config, id, newID string) {
			_, err := open(t, cfg.Path).Exec(number("INSERT INTO sessions ("+key+", data, expired_at) SELECT "+cast(driver)+", data, expired_at FROM sessions WHERE "+key+" = ?"), newID, id)
			require.NoError(t, err)
		},
		exists: func(t *testing.T, cfg app.Config, id string) bool {
			var n int
			require.NoError(t, open(t, cfg.Path).QueryRow(number("SELECT count(*) FROM sessions WHERE "+key+" = ?"), id).Scan(&n))
			return n == 1
		},
		doubles: true,
	}
}

// cast is a parameter of which PostgreSQL would not know the type.
func cast(driver string) string {
	if driver == "pgx" {
		return "CAST(? AS TEXT)"
	}
	return "?"
}

var postgresStorage = sqlStorage("postgres", "pgx", "expired_at - make_interval(secs => ?)", testserver.Postgres, func(dsn, db string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic(err)
	}
	u.Path = "/" + db
	return u.String()
})

// v1.6.6 reads no times without parseTime.
var mysqlStorage = sqlStorage("mysql", "mysql", "DATE_SUB(expired_at, INTERVAL ? SECOND)", testserver.MariaDB, func(dsn, db string) string {
	return dsn[:strings.LastIndex(dsn, "/")+1] + db + "?parseTime=true"
})

var redisStorage = storage{
	name: "redis",
	config: func(t *testing.T) app.Config {
		return app.Config{Store: "redis", Path: testserver.Redis.Start(t).Addr, Lifetime: lifetime}
	},
	age: func(t *testing.T, cfg app.Config, id string, by time.Duration) {
		c, ctx := redisClient(t, cfg), context.Background()
		left, err := c.PTTL(ctx, "session:"+id).Result()
		require.NoError(t, err)
		require.Positive(t, left)
		require.NoError(t, c.PExpire(ctx, "session:"+id, left-by).Err())
	},
	duplicate: func(t *testing.T, cfg app.Config, id, newID string) {
		require.NoError(t, redisClient(t, cfg).Copy(context.Background(), "session:"+id, "session:"+newID, cfg.DB, false).Err())
	},
	exists: func(t *testing.T, cfg app.Config, id string) bool {
		n, err := redisClient(t, cfg).Exists(context.Background(), "session:"+id).Result()
		require.NoError(t, err)
		return n == 1
	},
}

func redisClient(t *testing.T, cfg app.Config) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: cfg.Path, DB: cfg.DB})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

var mongoStorage = storage{
	name: "mongo",
	config: func(t *testing.T) app.Config {
		return app.Config{
			Store: "mongo", Path: testserver.Mongo.Get(t).DSN, Table: freshName(),
			Lifetime: lifetime,
		}
	},
	age: func(t *testing.T, cfg app.Config, id string, by time.Duration) {
		c, ctx := collection(t, cfg), context.Background()
		var doc bson.M
		require.NoError(t, c.FindOne(ctx, bson.M{"key": id}).Decode(&doc))
		at := doc["expired_at"].(primitive.DateTime).Time().Add(-by)
		_, err := c.UpdateOne(ctx, bson.M{"key": id}, bson.M{"$set": bson.M{"expired_at": at}})
		require.NoError(t, err)
	},
	duplicate: func(t *testing.T, cfg app.Config, id, newID string) {
		c, ctx := collection(t, cfg), context.Background()
		var doc bson.M
		require.NoError(t, c.FindOne(ctx, bson.M{"key": id}).Decode(&doc))
		delete(doc, "_id")
		doc["key"] = newID
		_, err := c.InsertOne(ctx, doc)
		require.NoError(t, err)
	},
	exists: func(t *testing.T, cfg app.Config, id string) bool {
		n, err := collection(t, cfg).CountDocuments(context.Background(), bson.M{"key": id})
		require.NoError(t, err)
		return n == 1
	},
	doubles: true,
}

func collection(t *testing.T, cfg app.Config) *mongo.Collection {
	t.Helper()
	c, err := mongo.Connect(context.Background(), options.Client().ApplyURI(cfg.Path))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Disconnect(context.Background()) })
	return c.Database(cfg.Table).Collection("sessions")
}
