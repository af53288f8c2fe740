// Package backendtest holds what the tests of several backends have in common,
// besides the conformance suite: wrong configurations, outages, measurements.
package backendtest

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/driver/drivertest"
)

// Open opens a backend that is closed with the test.
func Open[C any, B interface {
	session.Backend
	io.Closer
}](t testing.TB, open func(context.Context, C) (B, session.StoreConfig, error), cfg C) B {
	t.Helper()
	b, _, err := open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Close()) })
	return b
}

// Contract runs the tests of what a Backend promises. fresh makes a Config of an
// empty key space, which each instance is opened with.
func Contract[C any, B interface {
	session.Backend
	io.Closer
}](t *testing.T, open func(context.Context, C) (B, session.StoreConfig, error), fresh func(t *testing.T) C) {
	t.Helper()
	drivertest.Backend(t, func(t *testing.T) func() session.Backend {
		cfg := fresh(t)
		return func() session.Backend { return Open(t, open, cfg) }
	})
}

// Later is an expiry far enough away, and whole in milliseconds, as all systems
// keep it.
var Later = time.Now().UTC().Add(time.Hour).Truncate(time.Millisecond)

// Record returns a record that expires Later.
func Record(data string) session.Record {
	return session.Record{Data: []byte(data), Expiry: Later}
}

// Data returns what is stored.
func Data(t testing.TB, b session.Backend, id string) string {
	t.Helper()
	r, err := b.Load(context.WithoutCancel(t.Context()), id)
	require.NoError(t, err)
	return string(r.Data)
}

// Calls are all that a Backend has to do with a server, on a record "aaa" that
// holds "1".
func Calls(b session.Backend) map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		"Load":    func(ctx context.Context) error { _, err := b.Load(ctx, "aaa"); return err },
		"Create":  func(ctx context.Context) error { return b.Create(ctx, "new", Record("2")) },
		"Replace": func(ctx context.Context) error { return b.Replace(ctx, "aaa", Record("1"), Record("2")) },
		"Move":    func(ctx context.Context) error { return b.Move(ctx, "aaa", "bbb", Record("1"), Record("2")) },
		"Touch":   func(ctx context.Context) error { return b.Touch(ctx, "aaa", Record("1"), Later.Add(time.Hour)) },
		"Delete":  func(ctx context.Context) error { return b.Delete(ctx, "aaa") },
		"Count":   func(ctx context.Context) error { _, err := b.(session.Counter).Count(ctx, time.Now()); return err },
	}
}
