package filestore

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flamego/session/driver"
)

// BenchmarkFile works on 1000 sessions of 300 bytes, each goroutine on its own.
func BenchmarkBackend(b *testing.B) {
	rec := driver.Record{Data: make([]byte, 300), Expiry: time.Now().Add(time.Hour)}
	ids := make([]string, 1000)
	files := open(b, b.TempDir())
	for i := range ids {
		ids[i] = fmt.Sprintf("%c%csession%03d", 'a'+i%26, 'a'+i/26%26, i)
		require.NoError(b, files.Create(b.Context(), ids[i], rec))
	}
	for name, op := range map[string]func(id string) error{
		"Load":    func(id string) error { _, err := files.Load(b.Context(), id); return err },
		"Replace": func(id string) error { return files.Replace(b.Context(), id, rec, rec) },
		"Touch":   func(id string) error { return files.Touch(b.Context(), id, rec, rec.Expiry) },
	} {
		for _, goroutines := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s-%d", name, goroutines), func(b *testing.B) {
				b.ReportAllocs()
				var wg sync.WaitGroup
				for g := range goroutines {
					wg.Go(func() {
						for i := g; i < b.N; i += goroutines {
							if err := op(ids[i%len(ids)]); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}
