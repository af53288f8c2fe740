// Package redis keeps sessions in Redis, or in a server that speaks its protocol, using the
// client go-redis:
//
//	f.Use(session.Sessioner(session.Options{
//		Initer: redis.Initer(),
//		Config: redis.Config{
//			Options: &redis.Options{Addr: "localhost:6379"},
//		},
//	}))
//
// Any number of servers may share the keys. It works with a single server, Sentinel and
// Cluster. Redis itself removes expired keys.
package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/share"
)

// Options are the settings of the Redis client.
type Options = redis.Options

// Config contains options for the Redis session store. Set exactly one of Options, Client and
// UniversalClient.
type Config struct {
	// Options are the settings for the Redis client connection. ContextTimeoutEnabled is
	// always on. DialerRetries is 1 by default, since commands are retried anyway. With
	// TLSConfig or a Dialer, ConnMaxIdleTime is one second.
	Options *Options
	// Client is an open client. The library does not change its settings, and does not close
	// it. Without ContextTimeoutEnabled it ignores Options.StoreTimeout: if the server hangs,
	// it waits for up to its ReadTimeout.
	Client *redis.Client
	// UniversalClient is like Client, for any kind of client: Cluster, Sentinel, Ring. It must
	// read from masters: a client with ReadOnly, RouteByLatency or RouteRandomly is an error.
	UniversalClient redis.UniversalClient
	// KeyPrefix is the prefix of all keys in Redis. Default is "session:".
	KeyPrefix string
	// Lifetime is the idle timeout. Default is one hour, also for values under a second.
	Lifetime time.Duration
	// Encoder is the encoder to encode session data. Default is session.GobEncoder.
	Encoder session.Encoder
	// Decoder is the decoder to decode session data. Default is session.GobDecoder.
	Decoder session.Decoder
}

// startTimeout limits how long the start waits for a server that does not answer. That is not
// an error, so there is no point in waiting long.
const startTimeout = 5 * time.Second

// maxIdle is how long a connection may be idle if go-redis cannot tell whether it is still
// open. On a dead one, a write that must not be repeated would fail.
const maxIdle = time.Second

// Initer returns the session.Initer for the Redis session store. Its Config is a
// Config. The store's Close method closes the client made from Options.
//
// A server that is down at start is not an error: requests that need it fail until it is back.
// A server that refuses the start is an error.
func Initer() session.Initer { return session.BackendIniter(open) }

func open(ctx context.Context, cfg Config) (*backend, session.StoreConfig, error) {
	sc := session.StoreConfig{Lifetime: cfg.Lifetime, Encoder: cfg.Encoder, Decoder: cfg.Decoder, Name: cmp.Or(cfg.KeyPrefix, "session:")}
	b := &backend{prefix: cmp.Or(cfg.KeyPrefix, "session:"), grace: time.Minute}
	if cfg.Lifetime >= time.Second {
		b.grace = min(b.grace, cfg.Lifetime/2)
	}
	if err := b.connect(cfg); err != nil {
		return nil, sc, err
	}
	b.writes = share.New(b.one, b.pipeline)
	if err := b.start(ctx); err != nil {
		_ = b.Close()
		return nil, sc, err
	}
	return b, sc, nil
}

// connect uses the user's client, or makes one.
func (b *backend) connect(cfg Config) error {
	switch {
	case cfg.Options == nil && cfg.Client == nil && cfg.UniversalClient == nil:
		return errors.New("redis: Config.Options is nil: set it to the address of the server, or Config.Client or Config.UniversalClient to an open client")
	case cfg.Options != nil && (cfg.Client != nil || cfg.UniversalClient != nil), cfg.Client != nil && cfg.UniversalClient != nil:
		return errors.New("redis: Config has more than one of Options, Client and UniversalClient: set only the one to use")
	case cfg.Client != nil:
		b.client = cfg.Client
	case cfg.UniversalClient != nil:
		b.client = cfg.UniversalClient
		if v := reflect.ValueOf(b.client); v.Kind() == reflect.Pointer && v.IsNil() {
			return fmt.Errorf("redis: Config.UniversalClient is a nil %T: set it to an open client", b.client)
		}
		if c, ok := b.client.(*redis.ClusterClient); ok && c.Options().ReadOnly {
			return errors.New("redis: Config.UniversalClient reads from replicas, which may not have the last writes yet: make one without ReadOnly, RouteByLatency and RouteRandomly")
		}
	case strings.Contains(cfg.Options.Addr, "://"): // Every later error would show its password.
		return errors.New("redis: Config.Options.Addr is a URL: make Config.Options from it with redis.ParseURL of go-redis, or set Addr to host:port")
	default:
		o := *cfg.Options
		o.ContextTimeoutEnabled, o.DialerRetries = true, cmp.Or(o.DialerRetries, 1)
		if o.TLSConfig != nil || o.Dialer != nil { // Then go-redis cannot see that the other end has closed.
			o.ConnMaxIdleTime = maxIdle
		}
		b.client, b.own = redis.NewClient(&o), true
	}
	return nil
}
