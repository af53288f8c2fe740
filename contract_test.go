package session_test

import (
	"testing"

	"github.com/flamego/session"
	"github.com/flamego/session/driver/drivertest"
)

// TestBackendContract runs the contract on the backend that the guide on writing one
// shows.
func TestBackendContract(t *testing.T) {
	drivertest.Backend(t, func(*testing.T) func() session.Backend {
		b := newMapBackend()
		return func() session.Backend { return b }
	})
}
