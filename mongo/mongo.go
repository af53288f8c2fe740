// Package mongo keeps sessions in a MongoDB collection, using MongoDB's driver:
//
//	f.Use(session.Sessioner(session.Options{
//		Initer: mongo.Initer(),
//		Config: mongo.Config{
//			Options:  options.Client().ApplyURI("mongodb://localhost:27017"),
//			Database: "app",
//		},
//	}))
//
// Any number of servers may share the collection. Every call is one command on
// one document, without a transaction around it.
package mongo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"go.mongodb.org/mongo-driver/mongo/readpref"
	"go.mongodb.org/mongo-driver/mongo/writeconcern"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/outage"
)

// Options are the settings of the MongoDB client.
type Options = options.ClientOptions

// Config contains options for the MongoDB session store. Set exactly one of Options and
// Client.
//
// Sessions are always read from the primary. The write concern is majority, unless Options or
// Client sets another.
type Config struct {
	// Options are the settings for the MongoDB client connection. RetryWrites is off by
	// default. Turn it on, or set retryWrites=true in the URI, only for servers that recognize
	// a retry, as MongoDB's replica sets do. ServerSelectionTimeout is 2 seconds by default.
	Options *Options
	// Client is a connected client. The library does not change its settings, and does not
	// close it. Unlike with Options, RetryWrites is on by default: turn it off unless the
	// server recognizes a retry.
	Client *mongo.Client
	// Database is the name of the database. It is required.
	Database string
	// Collection is the name of the collection for session data. It gets a unique index on key
	// and a TTL index on expired_at. Default is "sessions".
	Collection string
	// Lifetime is the idle timeout. Default is one hour, also for values under a second.
	Lifetime time.Duration
	// Encoder is the encoder to encode session data. Default is session.GobEncoder.
	Encoder session.Encoder
	// Decoder is the decoder to decode session data. Default is session.GobDecoder.
	Decoder session.Decoder
}

const (
	// selectionTimeout is how long requests wait for a primary: long enough for a quick
	// election, but short enough that requests do not pile up in an outage.
	selectionTimeout = 2 * time.Second
	// closeTimeout limits how long Close waits for calls under way.
	closeTimeout = 5 * time.Second
)

// Initer returns the session.Initer for the MongoDB session store. Its Config is a
// Config. The store's Close method closes the client made from Options.
//
// A server that is down at start is not an error: requests that need it fail until it is back,
// and the indexes are then created when the first session is stored. An error that a server
// returns is an error at start.
func Initer() session.Initer { return session.BackendIniter(open) }

func open(ctx context.Context, cfg Config) (*backend, session.StoreConfig, error) {
	sc := session.StoreConfig{Lifetime: cfg.Lifetime, Encoder: cfg.Encoder, Decoder: cfg.Decoder, Name: cmp.Or(cfg.Collection, "sessions")}
	switch {
	case cfg.Options == nil && cfg.Client == nil:
		return nil, sc, errors.New("mongo: Config.Options is nil: set it to options.Client().ApplyURI(…), or Config.Client to a connected client")
	case cfg.Options != nil && cfg.Client != nil:
		return nil, sc, errors.New("mongo: Config has both Options and Client: set only the one to use")
	case cfg.Database == "":
		return nil, sc, errors.New("mongo: Config.Database is empty: set it to the name of the database")
	}
	b, client := &backend{insisting: make(chan struct{}, 1)}, cfg.Client
	if client == nil {
		var err error
		defaults := options.Client().SetRetryWrites(false).SetServerSelectionTimeout(selectionTimeout)
		if client, err = mongo.Connect(ctx, defaults, cfg.Options); err != nil {
			if strings.Contains(err.Error(), "invalid host") { // What the driver takes for a host may be the password.
				err = errors.New("the URI has no valid host, as in mongodb://user:password@host:27017: write an @, a / or a # in a password as %40, %2F, %23")
			}
			return nil, sc, fmt.Errorf("mongo: Config.Options are not valid: %w", err)
		}
		b.own = client
	}
	if err := b.use(ctx, client.Database(cfg.Database), cmp.Or(cfg.Collection, "sessions")); err != nil {
		_ = b.Close()
		return nil, sc, err
	}
	return b, sc, nil
}

// use takes a collection, and creates its indexes if the server can be reached.
func (b *backend) use(ctx context.Context, db *mongo.Database, name string) error {
	o := options.Collection().SetReadPreference(readpref.Primary())
	switch wc := db.WriteConcern(); {
	case wc == nil:
		o.SetWriteConcern(writeconcern.Majority())
	case !wc.Acknowledged():
		return errors.New("mongo: the write concern of Config.Options or Config.Client is unacknowledged, so no write is known to be stored: set another, or none")
	}
	b.sessions = db.Collection(name, o)
	if err := b.prepare(ctx); !outage.Is(err) {
		return err
	}
	return nil // That may be over when the first visitor comes.
}

// backend is a session.Backend with one document per session.
type backend struct {
	sessions *mongo.Collection
	prepared atomic.Bool
	shares   atomic.Bool   // loads may share round trips
	own      *mongo.Client // nil if it is the user's
	// insisting has room for one who repeats what was given up.
	insisting chan struct{}
}

// Close closes the client, if it is the library's.
func (b *backend) Close() error {
	if b.own == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return b.own.Disconnect(ctx)
}
