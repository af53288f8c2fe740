package backendtest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/wait"
)

// Busy makes the client open some connections, which an outage leaves stale.
func Busy(t testing.TB, b session.Backend) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			r, err := b.Load(t.Context(), "aaa")
			errs[i] = errors.Join(err, b.Touch(t.Context(), "aaa", r, Later))
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

// Heals waits until the backend works again, which it must do by itself.
func Heals(t testing.TB, within time.Duration, do func() error) {
	t.Helper()
	start := time.Now()
	require.NoError(t, wait.Until(within, do), "does not heal")
	t.Logf("healed %v after the server was back", time.Since(start).Round(time.Millisecond))
}

// AssertOutage wants an error that says nothing of the record.
func AssertOutage(t testing.TB, err error, name string) {
	t.Helper()
	assert.Error(t, err, name)
	for _, sentinel := range []error{session.ErrNotFound, session.ErrExists, session.ErrConflict} {
		assert.NotErrorIs(t, err, sentinel, name)
	}
}

// DownAtStart is that a server which is down when the site starts is no error: the
// outage may be over when the first visitor comes.
func DownAtStart(t *testing.T, opt session.Options) {
	t.Helper()
	m, err := session.NewManager(opt)
	require.NoError(t, err)
	assert.NoError(t, m.Close(t.Context()))
}
