package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/flamego/session/test/backendtest"
)

func BenchmarkBackend(b *testing.B) {
	backendtest.Benchmark(b, newBackend(b, Config{DSN: filepath.Join(b.TempDir(), "s.db")}), 10_000)
}
