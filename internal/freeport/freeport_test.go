package freeport_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/freeport"
)

// If a port could be reserved twice, some of 500 among 10,000 would be, all but
// certainly.
func TestReserve(t *testing.T) {
	taken := map[int]io.Closer{}
	for range 500 {
		port, reserved, err := freeport.Reserve()
		require.NoError(t, err)
		t.Cleanup(func() { _ = reserved.Close() })
		require.NotContains(t, taken, port)
		taken[port] = reserved
		assert.NoError(t, freeport.Silent(port), "a program can listen on it")
	}
}
