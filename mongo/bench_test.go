package mongo

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// BenchmarkBackend measures the calls on a collection of 2,000 sessions of 200
// bytes. Each goroutine works on sessions of its own, under a deadline like a
// request's.
func BenchmarkBackend(b *testing.B) {
	const size = 2000
	data := make([]byte, 200)
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	server, _ := start(b)
	s := newBackend(b, server.config())
	ids := make([]string, size)
	for i := range ids {
		ids[i] = fmt.Sprintf("session%025d", i)
		require.NoError(b, s.Create(ctx, ids[i], session.Record{Data: data, Expiry: later}))
	}

	for name, call := range map[string]func(s session.Backend, id string) error{
		"Load":  func(s session.Backend, id string) error { _, err := s.Load(ctx, id); return err },
		"Touch": func(s session.Backend, id string) error { return s.Touch(ctx, id, later) },
		"Replace": func(s session.Backend, id string) error {
			return s.Replace(ctx, id, data, session.Record{Data: data, Expiry: later})
		},
	} {
		for _, goroutines := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/goroutines=%d", name, goroutines), func(b *testing.B) {
				b.ReportAllocs()
				if goroutines == 1 {
					for i := range b.N {
						if err := call(s, ids[i%size]); err != nil {
							b.Fatal(err)
						}
					}
					return
				}
				var worker atomic.Int32
				b.SetParallelism(max(1, goroutines/runtime.GOMAXPROCS(0)))
				b.RunParallel(func(pb *testing.PB) {
					for i := int(worker.Add(1)) * size / 100; pb.Next(); i++ {
						if err := call(s, ids[i%size]); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}
