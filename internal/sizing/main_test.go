package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flamego/flamego"

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

// TestTouches compares the formula with what the library does for a visitor who
// comes at a steady pace.
func TestTouches(t *testing.T) {
	const lifetime, hours = time.Hour, 20
	for _, pace := range []time.Duration{time.Second, 10 * time.Second, 3 * time.Minute, 20 * time.Minute} {
		t.Run(pace.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				data, err := session.GobEncoder(session.Data{"k": "v"})
				if err != nil {
					t.Fatal(err)
				}
				b := &countingBackend{record: session.Record{Data: data, Expiry: time.Now().Add(lifetime + lifetime/20)}}
				m, err := session.NewManager(session.Options{
					Initer: session.BackendIniter(func(context.Context, struct{}) (session.Backend, session.StoreConfig, error) {
						return b, session.StoreConfig{Lifetime: lifetime}, nil
					}),
					Config:     struct{}{},
					GCInterval: 10 * hours * time.Hour,
				})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = m.Close(context.Background()) }()
				f := flamego.New()
				f.Use(m.Sessioner())
				f.Get("/", func(s session.Session) { s.Get("k") })
				visits := int(hours * time.Hour / pace)
				for range visits {
					time.Sleep(pace)
					req := httptest.NewRequest(http.MethodGet, "/", nil)
					req.AddCookie(&http.Cookie{Name: "flamego_session", Value: strings.Repeat("a", 32)})
					f.ServeHTTP(httptest.NewRecorder(), req)
				}
				if b.loads != visits {
					t.Errorf("%d loads for %d requests", b.loads, visits)
				}
				l := load{sessions: 1, rps: 1 / pace.Seconds(), lifetime: lifetime, pace: pace}
				most := l.touches() * (hours * time.Hour).Seconds()
				t.Logf("%d requests, %d touches, the formula says at most %.0f", visits, b.touches, most)
				// A request comes up to a pace later than the twentieth is over.
				least := most * (lifetime / 20).Seconds() / (lifetime/20 + pace).Seconds()
				if got := float64(b.touches); got > most+1 || got < least-1 {
					t.Errorf("%d touches, the formula says %.1f to %.1f", b.touches, least, most)
				}
				if l.touches() > l.mostTouches()*1.0001 {
					t.Errorf("%f touches a second, of at most %f", l.touches(), l.mostTouches())
				}
			})
		})
	}
}

// TestSizes compares what a session is said to take with what was measured.
func TestSizes(t *testing.T) {
	measured := map[string]map[float64]float64{
		"Redis, memory": {100: 261, 300: 479, 1000: 1172},
		"SQLite":        {100: 256, 300: 458, 1000: 1454},
		"MariaDB":       {100: 385, 300: 700, 1000: 1815},
		"PostgreSQL":    {100: 459, 300: 741, 1000: 1662},
		"files on ext4": {100: 4352, 5000: 8448},
	}
	for _, s := range stores {
		for data, want := range measured[s.name] {
			if got := s.size(data); got < 0.9*want || got > 1.1*want {
				t.Errorf("%s: %.0f bytes for %.0f of data, measured were %.0f", s.name, got, data, want)
			}
		}
		delete(measured, s.name)
	}
	if len(measured) > 0 {
		t.Errorf("not compared: %v", measured)
	}
}

// TestFlags checks that loads which make no sense are refused.
func TestFlags(t *testing.T) {
	for _, args := range []string{"-sessions 0", "-lifetime 0", "-pace 0", "-changes 2", "-rps -1", "-bytes x"} {
		if _, err := parse(strings.Fields(args)); err == nil {
			t.Errorf("%s: no error", args)
		}
	}
}
