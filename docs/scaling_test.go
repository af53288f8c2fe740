package docs

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// countingBackend has one session, and counts what is asked for.
type countingBackend struct {
	record          session.Record
	loads, touches  int
	session.Backend // Nothing else is called.
}

func (b *countingBackend) Load(context.Context, string) (session.Record, error) {
	b.loads++
	return b.record, nil
}

func (b *countingBackend) Touch(_ context.Context, _ string, _ session.Record, expiry time.Time) error {
	b.touches++
	b.record.Expiry = expiry
	return nil
}

// DeleteExpired is called at a random moment.
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
				b := &countingBackend{record: session.Record{Data: data, Expiry: time.Now().Add(lifetime + lifetime/20)}}
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
					req.AddCookie(&http.Cookie{Name: "flamego_session", Value: strings.Repeat("a", 32)})
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
