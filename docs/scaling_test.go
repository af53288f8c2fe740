package docs

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// countingBackend has one session, and counts what is asked for.
// countingBackend counts, and keeps what the library stores at its start.
type countingBackend struct {
	mu             sync.Mutex
	records        map[string]session.Record
	loads, touches int
}

// visitor is whose session is there.
var visitor = strings.Repeat("a", 32)

func (b *countingBackend) Load(_ context.Context, id string) (session.Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id == visitor {
		b.loads++
	}
	r, ok := b.records[id]
	if !ok {
		return r, session.ErrNotFound
	}
	return r, nil
}

func (b *countingBackend) Create(_ context.Context, id string, r session.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.records[id]; ok {
		return session.ErrExists
	}
	b.records[id] = r
	return nil
}

func (b *countingBackend) Replace(ctx context.Context, id string, old, r session.Record) error {
	return b.Move(ctx, id, id, old, r)
}

func (b *countingBackend) Move(_ context.Context, id, newID string, old, r session.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now, ok := b.records[id]; !ok || !bytes.Equal(now.Data, old.Data) {
		return session.ErrConflict
	}
	delete(b.records, id)
	b.records[newID] = r
	return nil
}

func (b *countingBackend) Touch(ctx context.Context, id string, old session.Record, expiry time.Time) error {
	if id == visitor {
		b.touches++
	}
	return b.Move(ctx, id, id, old, session.Record{Data: old.Data, Expiry: expiry})
}

func (b *countingBackend) Delete(_ context.Context, id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.records, id)
	return nil
}

func (b *countingBackend) DeleteExpired(context.Context, time.Time, int) (int, error) {
	return 0, nil
}

// TestTouches compares the guide's formula, slid expiries per second, with what the
// library does for a visitor who comes at a steady pace.
func TestTouches(t *testing.T) {
	const lifetime, span = time.Hour, 20 * time.Hour
	for _, pace := range []time.Duration{time.Second, 10 * time.Second, 3 * time.Minute, 20 * time.Minute} {
		t.Run(pace.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				data, err := session.GobEncoder(session.Data{"k": "v"})
				require.NoError(t, err)
				b := &countingBackend{records: map[string]session.Record{visitor: {Data: data, Expiry: time.Now().Add(lifetime + lifetime/20)}}}
				m, err := session.NewManager(session.Options{
					Initer: session.BackendIniter(func(context.Context, struct{}) (session.Backend, session.StoreConfig, error) {
						return b, session.StoreConfig{Lifetime: lifetime}, nil
					}),
					Config:     struct{}{},
					GCInterval: 10 * span,
				})
				require.NoError(t, err)
				defer func() { _ = m.Close(context.Background()) }()
				f := flamego.New()
				f.Use(m.Sessioner())
				f.Get("/", func(s session.Session) { s.Get("k") })
				visits := int(span / pace)
				for range visits {
					time.Sleep(pace)
					req := httptest.NewRequest(http.MethodGet, "/", nil)
					req.AddCookie(&http.Cookie{Name: "flamego_session", Value: visitor})
					f.ServeHTTP(httptest.NewRecorder(), req)
				}
				assert.Equal(t, visits, b.loads)
				p, l := pace.Seconds(), lifetime.Seconds()
				r := 1 / p
				most := min(r, 20*p*r/l) * span.Seconds()
				// A request comes up to a pace later than the twentieth is over.
				least := most * (l / 20) / (l/20 + p)
				assert.LessOrEqual(t, float64(b.touches), most+1)
				assert.GreaterOrEqual(t, float64(b.touches), least-1)
			})
		})
	}
}
