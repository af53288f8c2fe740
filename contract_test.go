package session_test

import (
	"testing"

	"github.com/flamego/session"
	"github.com/flamego/session/sessiontest"
)

// TestBackendContract runs the contract on the memory, and on the backend that
// the guide on writing one shows.
func TestBackendContract(t *testing.T) {
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
