package backendtest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// Wrong is a configuration with which nothing can start, and what the error must
// say of it: the field and the remedy.
type Wrong[C any] struct {
	Config C
	Want   []string
	// Limit ends the context of the start, where the backend would go on trying.
	Limit time.Duration
}

// WrongConfigs is that each of the configurations is found out at the start, soon,
// and that nothing is returned. Every error begins with the name of the backend.
func WrongConfigs[C any, B session.Backend](t *testing.T, name string, open func(context.Context, C) (B, session.StoreConfig, error), wrong map[string]Wrong[C]) {
	t.Helper()
	for title, w := range wrong {
		t.Run(title, func(t *testing.T) {
			start := func() context.Context {
				if w.Limit == 0 {
					return t.Context()
				}
				ctx, cancel := context.WithTimeout(t.Context(), w.Limit)
				t.Cleanup(cancel)
				return ctx
			}
			begin := time.Now()
			b, _, err := open(start(), w.Config)
			require.Error(t, err)
			assert.Nil(t, b)
			assert.Less(t, time.Since(begin), 2*time.Second)
			store, err := session.BackendIniter(open)(start(), w.Config)
			require.Error(t, err)
			assert.Nil(t, store)
			assert.True(t, strings.HasPrefix(err.Error(), name+": "), err)
			for _, part := range w.Want {
				assert.ErrorContains(t, err, part)
			}
		})
	}
}

// NoConfig is that an Initer which finds no Config of its type says so. want is
// the name of the type.
func NoConfig(t *testing.T, initer session.Initer, want string) {
	t.Helper()
	type other struct{}
	for found, cfg := range map[string]any{"not set": nil, "a backendtest.other": other{}, "a string": "localhost"} {
		store, err := initer(t.Context(), cfg, session.IDWriter(func(http.ResponseWriter, *http.Request, string) {}))
		require.ErrorContains(t, err, "Options.Config is "+found+": set it to a "+want)
		assert.Nil(t, store)
	}
}

// Initer is that a store works, that it has the Lifetime of its Config, which must
// be a minute, and that it can be closed. expiry looks at what is stored.
func Initer(t *testing.T, initer session.Initer, cfg any, expiry func(id string) time.Time) {
	t.Helper()
	const id = "abcdef0123456789"
	ctx := t.Context()
	store, err := initer(ctx, cfg, session.IDWriter(func(http.ResponseWriter, *http.Request, string) {}))
	require.NoError(t, err)
	s, err := store.Read(ctx, id)
	require.NoError(t, err)
	s.Set("name", "flamego")
	require.NoError(t, store.Save(ctx, s))
	s, err = store.Read(ctx, id)
	require.NoError(t, err)
	assert.Equal(t, "flamego", s.Get("name"))

	assert.InDelta(t, 61.5, time.Until(expiry(id)).Seconds(), 1.6, "the lifetime of the Config was not used")
	require.Implements(t, (*io.Closer)(nil), store)
	require.NoError(t, store.(io.Closer).Close())
}
