package sessiontest_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/sessiontest"
)

func openFor(t *testing.T, opt session.Options) *session.Manager {
	t.Helper()
	m, err := session.NewManager(opt)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Close(context.Background())) })
	return m
}

func TestBrowserSignIn(t *testing.T) {
	for name, opt := range map[string]session.Options{
		"memory": {},
		"files":  {Initer: session.FileIniter(), Config: session.FileConfig{RootDir: t.TempDir()}, HashIDs: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := openFor(t, opt)
			phone, laptop := sessiontest.NewBrowser(t, shop(m), m), sessiontest.NewBrowser(t, shop(m), m)
			phone.SignIn("ann", map[string]any{"userID": 7})
			laptop.SignIn("ann", map[string]any{"userID": 7})

			assert.Equal(t, "home <nil>", phone.Get("/").Body)
			assert.Equal(t, "ann", session.Owner(phone.Session()))
			list, err := m.Sessions(t.Context(), "ann")
			require.NoError(t, err)
			require.Len(t, list, 2)
			assert.True(t, list[1].Is(laptop.Session()))

			require.NoError(t, m.EndAll(t.Context(), "ann", session.Handle(laptop.Session())))
			assert.Nil(t, phone.Session())
			assert.Equal(t, "home <nil>", laptop.Get("/").Body)
		})
	}
}

func TestClock(t *testing.T) {
	clock := sessiontest.NewClock()
	m := openFor(t, clock.Options(session.Options{AbsoluteLifetime: 12 * time.Hour}))
	b := sessiontest.NewBrowser(t, shop(m), m)
	b.SignIn("ann", map[string]any{"userID": 7})
	signedIn := clock.Now()
	for range 12*2 - 1 {
		clock.Advance(30 * time.Minute)
		require.Equal(t, "home <nil>", b.Get("/").Body)
	}
	clock.Set(signedIn.Add(12*time.Hour - time.Millisecond))
	assert.Equal(t, "home <nil>", b.Get("/").Body)
	clock.Set(signedIn.Add(12 * time.Hour))
	assert.Equal(t, "sign in, from /", b.Get("/").Body)
}

// TestBrowserTabs uses one browser from many goroutines, over each transport.
func TestBrowserTabs(t *testing.T) {
	for name, opt := range map[string]session.Options{
		"a cookie": {},
		"a header": {Transport: session.HeaderTransport("X-Session")},
		"URLs":     {Transport: session.QueryTransport("sid")},
	} {
		t.Run(name, func(t *testing.T) {
			m := openFor(t, opt)
			f := shop(m)
			f.Get("/add", func(s session.Session) { session.Update(s, "n", func(n int) int { return n + 1 }) })
			b := sessiontest.NewBrowser(t, f, m)
			path := "/add"
			if name == "URLs" {
				sess, err := m.Store().Read(t.Context(), "0123456789abcdef0123456789abcdef")
				require.NoError(t, err)
				require.NoError(t, m.Store().Save(t.Context(), sess))
				path += "?sid=" + sess.ID()
			} else {
				b.SetSession(map[string]any{"userID": 7})
			}
			b.Get(path)
			var tabs sync.WaitGroup
			for range 8 {
				tabs.Go(func() {
					for range 20 {
						b.Get(path)
						b.NoRedirects().Get(path)
						assert.NotNil(t, b.Session())
						_ = b.Flash()
					}
				})
			}
			tabs.Wait()
			assert.Equal(t, 1+8*20*2, b.Session().Get("n"))
		})
	}
}
