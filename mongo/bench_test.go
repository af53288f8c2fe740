package mongo

import (
	"testing"

	"github.com/flamego/session/test/backendtest"
)

func BenchmarkBackend(b *testing.B) {
	server := start(b)
	backendtest.Benchmark(b, newBackend(b, server.config()), 2000)
}
