package session_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/sessiontest"
)

// TestBackendContract runs the contract on the backends of this package, and on the
// one that the guide on writing a backend shows.
func TestBackendContract(t *testing.T) {
	t.Run("file", func(t *testing.T) {
		sessiontest.Backend(t, func(t *testing.T) func() session.Backend {
			cfg := session.FileConfig{RootDir: t.TempDir()}
			return func() session.Backend {
				b, err := session.NewFileBackend(cfg)
				require.NoError(t, err)
				t.Cleanup(func() { assert.NoError(t, b.(interface{ Close() error }).Close()) })
				return b
			}
		})
	})
	for name, fresh := range map[string]func() session.Backend{
		"memory": session.NewMemoryBackend,
		"map":    func() session.Backend { return newMapBackend() },
	} {
		t.Run(name, func(t *testing.T) {
			sessiontest.Backend(t, func(*testing.T) func() session.Backend {
				b := fresh()
				return func() session.Backend { return b }
			})
		})
	}
}
