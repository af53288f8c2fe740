package redis

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/flamego/session"
)

// start tells a wrong configuration from an outage.
func (b *backend) start(ctx context.Context) error {
	limit, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	try, stop := context.WithCancelCause(limit)
	defer time.AfterFunc(startTimeout/20, func() { // It may wait for what the other end does not say.
		if wrong := b.wrongTLS(limit); wrong != nil {
			stop(wrong)
		}
	}).Stop()
	err := b.try(try)
	var answer redis.Error
	var certificate *tls.CertificateVerificationError
	var addr *net.AddrError
	var moved bool
	if err != nil {
		_, moved = redis.IsMovedError(err)
	}
	switch {
	case err == nil:
		b.warnOfEvictions(try)
		return nil
	case moved:
		return fmt.Errorf("%w: this is one node of a Cluster, and other nodes have the other sessions: set Config.UniversalClient to a client made with redis.NewClusterClient of go-redis", err)
	case errors.As(err, &certificate):
		return fmt.Errorf("%w: check TLSConfig in Config.Options, or your client", err)
	case errors.As(err, &addr):
		return fmt.Errorf("%w: check Addr in Config.Options, or your client", err)
	case passes(err):
		return nil
	case errors.As(err, &answer):
		return fmt.Errorf("%w: check Username, Password and DB in Config.Options, or your client; scripts must be allowed, and the commands in docs/backends/redis.md", err)
	}
	wrong := context.Cause(try)
	if wrong == nil {
		wrong = b.wrongTLS(ctx)
	}
	if errors.Is(wrong, errTLS) {
		return fmt.Errorf("%w: %w", err, wrong)
	}
	var network net.Error
	var alert tls.AlertError
	down := errors.As(err, &network) && !errors.As(err, &alert) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || ctx.Err() != nil
	if down || try.Err() != nil {
		return nil
	}
	return fmt.Errorf("%w: check Addr and TLSConfig in Config.Options, or your client", err)
}

// slotKeys is how many keys are asked for to find out if a single server is a node of a
// Cluster: one that has nine tenths of the slots would pass once in eight hundred times.
const slotKeys = 64

// try makes every kind of call that a request may make, on a key that cannot be a session's.
func (b *backend) try(ctx context.Context) error {
	id := "flamego::start::" + rand.Text()
	if b.SharesLoads() {
		pipe := b.client.Pipeline()
		for i := range slotKeys {
			pipe.Get(ctx, fmt.Sprint(b.prefix, id, i))
		}
		cmds, _ := pipe.Exec(ctx)
		for _, cmd := range cmds {
			if _, moved := redis.IsMovedError(cmd.Err()); moved {
				return b.fail("load", id, cmd.Err())
			}
		}
	}
	one, two := session.Record{Data: []byte("1"), Expiry: time.Now().Add(time.Minute)}, session.Record{Data: []byte("2"), Expiry: time.Now().Add(time.Minute)}
	if err := b.Create(ctx, id, one); err != nil {
		return err
	}
	return errors.Join(b.Replace(ctx, id, one, two), b.Delete(ctx, id))
}

// warnOfEvictions looks at the policy for a full memory, if it may.
func (b *backend) warnOfEvictions(ctx context.Context) {
	info, _ := b.client.Info(ctx, "memory").Result()
	_, policy, _ := strings.Cut(info, "maxmemory_policy:")
	policy, _, _ = strings.Cut(policy, "\r")
	if policy != "" && policy != "noeviction" {
		slog.Warn("redis: when its memory is full, this Redis removes keys: visitors are signed out, and without an owner's list Manager.Sessions and EndAll miss sessions: set maxmemory-policy to noeviction, or use a Redis for sessions alone", "maxmemory-policy", policy)
	}
}

var errTLS = errors.New("TLS")

// wrongTLS finds out if a single server wants TLS and the client does not, or the other way
// around. Neither says so: one waits, and the other closes the connection.
func (b *backend) wrongTLS(ctx context.Context) error {
	c, ok := b.client.(*redis.Client)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	o := c.Options()
	conn, err := new(net.Dialer).DialContext(ctx, o.Network, o.Addr)
	if err != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	until, _ := ctx.Deadline()
	_ = conn.SetDeadline(until)
	if o.TLSConfig == nil {
		if tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) == nil { // #nosec G402 -- Nothing is sent.
			return fmt.Errorf("%w: the server wants it: set TLSConfig in Config.Options, or in your client", errTLS)
		}
		return nil
	}
	_, _ = io.WriteString(conn, "PING\r\n")
	if line, _ := bufio.NewReader(conn).ReadString('\n'); strings.HasPrefix(line, "+PONG") || strings.HasPrefix(line, "-") {
		return fmt.Errorf("%w: the server does not speak it: take TLSConfig out of Config.Options, or of your client, or use the server's port for TLS", errTLS)
	}
	return nil
}
