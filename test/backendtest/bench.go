package backendtest

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

// Benchmark measures the calls with so many sessions of 200 bytes. Each goroutine
// works on sessions of its own, under a deadline like a request's.
func Benchmark(b *testing.B, s session.Backend, size int) {
	rec := session.Record{Data: make([]byte, 200), Expiry: Later}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	ids := make([]string, size)
	for i := range ids {
		ids[i] = fmt.Sprintf("session%025d", i)
		require.NoError(b, s.Create(ctx, ids[i], rec))
	}
	for name, call := range map[string]func(id string) error{
		"Load":    func(id string) error { _, err := s.Load(ctx, id); return err },
		"Touch":   func(id string) error { return s.Touch(ctx, id, rec, Later) },
		"Replace": func(id string) error { return s.Replace(ctx, id, rec, rec) },
	} {
		for _, goroutines := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/goroutines=%d", name, goroutines), func(b *testing.B) {
				b.ReportAllocs()
				if goroutines == 1 {
					for i := range b.N {
						if err := call(ids[i%size]); err != nil {
							b.Fatal(err)
						}
					}
					return
				}
				var worker atomic.Int32
				b.SetParallelism(max(1, goroutines/runtime.GOMAXPROCS(0)))
				b.RunParallel(func(pb *testing.PB) {
					for i := int(worker.Add(1)) * size / 100; pb.Next(); i++ {
						if err := call(ids[i%size]); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}
