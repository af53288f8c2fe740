package redis

import (
	"testing"

	"github.com/flamego/session/test/backendtest"
)

func BenchmarkBackend(b *testing.B) {
	backendtest.Benchmark(b, newBackend(b, kinds[0].start(b).fresh().config(nil)), 10_000)
}
