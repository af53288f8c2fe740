package session

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/memstore"
)

// TestWrongOptions checks that every wrong configuration is found at start, and
// that the message names the field and the remedy.
func TestWrongOptions(t *testing.T) {
	type otherConfig struct{}
	tests := []struct {
		name  string
		opt   Options
		field string
		cure  string
	}{
		{"SameSite=None", Options{Cookie: CookieOptions{SameSite: http.SameSiteNoneMode}}, "Cookie.SameSite", "set Cookie.Secure"},
		{"__Host- without Secure", Options{Cookie: CookieOptions{Name: "__Host-s"}}, "Cookie.Name", "set Cookie.Secure"},
		{"__host- in other case", Options{Cookie: CookieOptions{Name: "__hOsT-s"}}, "Cookie.Name", "set Cookie.Secure"},
		{"__Host- with Path", Options{Cookie: CookieOptions{Name: "__Host-s", Secure: true, Path: "/app"}}, "Cookie.Path", "leave Cookie.Path out"},
		{"__Host- with Domain", Options{Cookie: CookieOptions{Name: "__Host-s", Secure: true, Domain: "example.com"}}, "Cookie.Domain", "leave it out"},
		{"__Secure- without Secure", Options{Cookie: CookieOptions{Name: "__Secure-s"}}, "Cookie.Name", "set Cookie.Secure"},
		{"__Http- without Secure", Options{Cookie: CookieOptions{Name: "__Http-s"}}, "Cookie.Name", "set Cookie.Secure"},
		{"__Http- for scripts", Options{Cookie: CookieOptions{Name: "__Http-s", Secure: true, AllowScriptAccess: true}}, "Cookie.Name", "leave Cookie.AllowScriptAccess out"},
		{"__Host-Http- for scripts", Options{Cookie: CookieOptions{Name: "__host-http-s", Secure: true, AllowScriptAccess: true}}, "Cookie.Name", "leave Cookie.AllowScriptAccess out"},
		{"__Host-Http- with Domain", Options{Cookie: CookieOptions{Name: "__Host-Http-s", Secure: true, Domain: "example.com"}}, "Cookie.Domain", "leave it out"},
		{"Partitioned", Options{Cookie: CookieOptions{Partitioned: true}}, "Cookie.Partitioned", "set Cookie.Secure"},
		{"negative size", Options{MaxSize: -1}, "MaxSize", "leave it out"},
		{"Max-Age over 400 days", Options{Cookie: CookieOptions{MaxAge: 34560001}}, "Cookie.MaxAge", "34560000"},
		{"negative Max-Age", Options{Cookie: CookieOptions{MaxAge: -1}}, "Cookie.MaxAge", "session.Destroy"},
		{"name that is no token", Options{Cookie: CookieOptions{Name: "my session"}}, "Cookie.Name", "not valid"},
		{"relative Path", Options{Cookie: CookieOptions{Path: "app"}}, "Cookie.Path", `start with "/"`},
		{"IDLength", Options{IDLength: 129}, "IDLength", "leave it out"},
		{"StoreTimeout", Options{StoreTimeout: -1}, "StoreTimeout", "leave it out"},
		{"memory with another Config", Options{Config: FileConfig{}}, "Options.Config is a session.FileConfig", "Options.Initer"},
		{"file without Config", Options{Initer: FileIniter()}, "Options.Config is not set", "session.FileConfig"},
		{"file with another Config", Options{Initer: FileIniter(), Config: otherConfig{}}, "Options.Config is a session.otherConfig", "session.FileConfig"},
		{"Initer that returns nothing", Options{Initer: func(context.Context, ...interface{}) (Store, error) { return nil, nil }}, "Options.Initer", "fix"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := NewManager(test.opt)
			require.Error(t, err)
			assert.Contains(t, err.Error(), test.field)
			assert.Contains(t, err.Error(), test.cure)
			assert.True(t, strings.HasPrefix(err.Error(), "session: "), err)
			assert.PanicsWithValue(t, err.Error(), func() { Sessioner(test.opt) })
		})
	}
}

func TestRightOptions(t *testing.T) {
	tests := map[string]Options{
		"nothing":               {},
		"__Host-":               {Cookie: CookieOptions{Name: "__Host-s", Secure: true}},
		"__Secure-":             {Cookie: CookieOptions{Name: "__Secure-s", Secure: true, Domain: "example.com", Path: "/app"}},
		"None with Secure":      {Cookie: CookieOptions{SameSite: http.SameSiteNoneMode, Secure: true, Partitioned: true}},
		"400 days":              {Cookie: CookieOptions{MaxAge: 34560000}},
		"pointer to the Config": {Config: &MemoryConfig{Lifetime: time.Minute}},
		"file":                  {Initer: FileIniter(), Config: FileConfig{RootDir: filepath.Join(t.TempDir(), "new")}},
	}
	for name, opt := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := NewManager(opt)
			require.NoError(t, err)
			assert.NoError(t, m.Close(t.Context()))
		})
	}
}

// TestShortIDLength checks the warning: old programs set 16, and must go on.
func TestShortIDLength(t *testing.T) {
	var buf bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&buf, nil)))
	defer slog.SetDefault(before)

	m, err := NewManager(Options{IDLength: 16})
	require.NoError(t, err)
	defer func() { _ = m.Close(t.Context()) }()
	assert.Len(t, (&request{m: m}).NewID(), 16)
	assert.Contains(t, buf.String(), "IDLength")
	assert.Contains(t, buf.String(), "26 or more")

	buf.Reset()
	m, err = NewManager(Options{IDLength: 26})
	require.NoError(t, err)
	defer func() { _ = m.Close(t.Context()) }()
	assert.Empty(t, buf.String())
}

func TestDefaults(t *testing.T) {
	o, err := Options{}.withDefaults()
	require.NoError(t, err)
	assert.Equal(t, CookieOptions{Name: "flamego_session", Path: "/", SameSite: http.SameSiteLaxMode}, o.Cookie)
	assert.Equal(t, 32, o.IDLength)
	assert.Equal(t, 5*time.Minute, o.GCInterval)
	assert.Equal(t, 5*time.Second, o.StoreTimeout)
	assert.Equal(t, time.Hour, defaultLifetime(0))
	assert.Equal(t, time.Hour, defaultLifetime(999*time.Millisecond))
	assert.Equal(t, time.Second, defaultLifetime(time.Second))
}

// TestLifetimeWithoutUnit warns of a number that was meant to be seconds.
func TestLifetimeWithoutUnit(t *testing.T) {
	var log bytes.Buffer
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(old)
	for lifetime, warned := range map[time.Duration]bool{0: false, 3600: true, -1: true, time.Second: false} {
		log.Reset()
		newStore(memstore.New(), lifetime)
		assert.Equal(t, warned, strings.Contains(log.String(), "with its unit"), lifetime)
	}
}
