package memstore

import (
	"testing"
	"time"

	"github.com/flamego/session/internal/txn"
)

const benchID = "0123456789abcdefghijklmnopqrstuv"

// benchSessions are what applications keep, more or less.
var benchSessions = []struct {
	name string
	set  map[string]any
}{
	{"number", map[string]any{"user_id": int64(1234567)}},
	{"strings", map[string]any{"user_id": "1234567", "name": "Ada Lovelace", "theme": "dark", "csrf": "b5bb9d8014a0f9b1d61e21e796d78dcc"}},
	{"list", map[string]any{"user_id": int64(1234567), "roles": []string{"editor", "reviewer"}}},
}

func benchmark(b *testing.B, run func(b *testing.B, s *txn.Store, v *txn.Version)) {
	for _, sess := range benchSessions {
		s, ch := txn.NewStore(New(), time.Hour), &txn.Changes{}
		for key, val := range sess.set {
			ch.Set(key, val)
		}
		v, err := s.Engine.Create(b.Context(), benchID, ch, time.Now().Add(time.Hour))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(sess.name, func(b *testing.B) {
			b.ReportAllocs()
			run(b, s, v)
		})
	}
}

// BenchmarkLoad finds a session, and reads one value.
func BenchmarkLoad(b *testing.B) {
	benchmark(b, func(b *testing.B, s *txn.Store, _ *txn.Version) {
		for b.Loop() {
			v, err := s.Find(b.Context(), benchID)
			if err != nil {
				b.Fatal(err)
			}
			v.View.Get("user_id")
		}
	})
}

// BenchmarkReplace changes one value.
func BenchmarkReplace(b *testing.B) {
	benchmark(b, func(b *testing.B, s *txn.Store, v *txn.Version) {
		ch := &txn.Changes{}
		ch.Set("user_id", 1)
		for b.Loop() {
			var err error
			if v, err = s.Engine.Replace(b.Context(), v, ch, time.Now()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
