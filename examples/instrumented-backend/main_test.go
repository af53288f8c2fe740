package main

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/driver/drivertest"
	"github.com/flamego/session/examples/internal/exampletest"
	"github.com/flamego/session/sessiontest"
)

var (
	_ session.ManyLoader = measured{}
	_ session.Counter    = measured{}
	_ session.Lister     = measured{}
)

// The wrapper keeps every promise of what it wraps.
func TestContract(t *testing.T) {
	drivertest.Backend(t, func(*testing.T) func() session.Backend {
		b := measured{newTable()}
		return func() session.Backend { return b }
	})
}

// vars is what /debug/vars says.
type vars struct {
	Calls    map[string]int64 `json:"session_calls"`
	Failures map[string]int64 `json:"session_failures"`
	Micros   map[string]int64 `json:"session_microseconds"`
}

func read(t *testing.T, b *exampletest.Browser) (v vars) {
	t.Helper()
	page := b.Get("/debug/vars")
	require.NoError(t, json.Unmarshal([]byte(page.Body), &v), page.Body)
	return v
}

func TestMeasured(t *testing.T) {
	m := exampletest.Open(t, options(), sessiontest.NewClock())
	site := exampletest.Serve(t, newApp(m))
	phone, laptop := exampletest.NewBrowser(t, site), exampletest.NewBrowser(t, site)
	for _, b := range []*exampletest.Browser{phone, laptop} {
		b.Post("/signin", url.Values{"name": {"ann"}})
	}
	before := read(t, phone)
	assert.Equal(t, "ann is signed in on 2 devices", phone.Get("/").Body)
	after := read(t, phone)
	// The session and the list of the owner's; then those on the list together.
	assert.Equal(t, before.Calls["load"]+2, after.Calls["load"])
	assert.Equal(t, before.Calls["load many"]+1, after.Calls["load many"])
	assert.GreaterOrEqual(t, after.Micros["load"], before.Micros["load"])
	n, err := m.Count(t.Context())
	assert.NoError(t, err)
	assert.Positive(t, n, "the wrapper can count as well")
}

// Each method is measured, and an error counts as a failure unless it is an answer.
func TestEachMethod(t *testing.T) {
	b, r := measured{newTable()}, session.Record{Data: []byte("1"), Expiry: time.Now().Add(time.Hour)}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	id := strings.Repeat("a", 32)
	for op, call := range map[string]func(ctx context.Context) error{
		"load":           func(ctx context.Context) error { _, err := b.Load(ctx, id); return err },
		"load many":      func(ctx context.Context) error { _, err := b.LoadMany(ctx, []string{id}); return err },
		"create":         func(ctx context.Context) error { return b.Create(ctx, id, r) },
		"replace":        func(ctx context.Context) error { return b.Replace(ctx, id, r, r) },
		"move":           func(ctx context.Context) error { return b.Move(ctx, id, "b"+id, r, r) },
		"touch":          func(ctx context.Context) error { return b.Touch(ctx, id, r, r.Expiry) },
		"delete":         func(ctx context.Context) error { return b.Delete(ctx, id) },
		"delete expired": func(ctx context.Context) error { _, err := b.DeleteExpired(ctx, time.Now(), 1); return err },
	} {
		clear(b.records)
		if op != "create" {
			b.records[id] = r
		}
		count := func() (n, failed int64) { return number(calls.Get(op)), number(failures.Get(op)) }
		n, failed := count()
		assert.ErrorIs(t, call(ended), context.Canceled, op)
		now, nowFailed := count()
		assert.Equal(t, []int64{n + 1, failed + 1}, []int64{now, nowFailed}, op)
		assert.NoError(t, call(t.Context()), op)
		_ = call(t.Context()) // The second time, a few of them find something else.
		now, nowFailed = count()
		assert.Equal(t, []int64{n + 3, failed + 1}, []int64{now, nowFailed}, op)
	}
}

func number(v interface{ String() string }) (n int64) {
	if v != nil {
		_ = json.Unmarshal([]byte(v.String()), &n)
	}
	return n
}
