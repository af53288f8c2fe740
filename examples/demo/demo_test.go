package main

import (
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/examples/internal/exampletest"
	"github.com/flamego/session/internal/testserver"
)

// program is one running demo.
type program struct {
	*exampletest.Process
	site string
}

// start runs the program on a free port and waits until it says that it listens.
func start(t *testing.T, exe, dir string, args ...string) program {
	t.Helper()
	p := program{Process: exampletest.Start(t, dir, exe, nil, append([]string{"-addr", "127.0.0.1:0", "-name", "One"}, args...)...)}
	p.waitSite()
	return p
}

func (p *program) waitSite() {
	link := regexp.MustCompile(`^Serving on (http://\S+)`)
	p.WaitLine(func(line string) bool {
		found := link.FindStringSubmatch(line)
		if found != nil {
			p.site = found[1]
		}
		return found != nil
	})
}

func TestProgram(t *testing.T) {
	exe := filepath.Join(exampletest.Build(t, "."), "demo")
	for _, backend := range backends {
		t.Run(backend.name, func(t *testing.T) { testBackend(t, exe, backend) })
	}
	t.Run("default is a SQLite file in the working folder", func(t *testing.T) {
		dir := t.TempDir()
		p := start(t, exe, dir)
		exampletest.NewBrowser(t, p.site).Post("/counter", nil)
		assert.FileExists(t, filepath.Join(dir, "demo.db"))
		assert.Contains(t, p.Output(), filepath.Join(dir, "demo.db"), "where the sessions are is not said")
		assert.Zero(t, p.Stop())
	})
	t.Run("flags", func(t *testing.T) { testFlags(t, exe) })
}

// remotes start the servers of the backends that have one, and return the DSN.
var remotes = map[string]func(t *testing.T) string{
	"postgres": func(t *testing.T) string { return testserver.Postgres.Get(t).DSN },
	"mysql":    func(t *testing.T) string { return testserver.MariaDB.Get(t).DSN },
	"redis":    func(t *testing.T) string { return testserver.Redis.Get(t).Addr },
	"mongo":    func(t *testing.T) string { return testserver.Mongo.Get(t).DSN },
}

// testBackend walks through the site, with a restart in the middle.
func testBackend(t *testing.T, exe string, backend backend) {
	dir := t.TempDir()
	args := []string{"-backend", backend.name}
	switch {
	case backend.remote:
		args = append(args, "-dsn", remotes[backend.name](t))
	default:
		args = append(args, "-dsn", filepath.Join(dir, "store"))
	}
	p := start(t, exe, dir, args...)
	b := exampletest.NewBrowser(t, p.site)

	b.Get("/")
	assert.Empty(t, b.Cookies(), "a visitor who only looks got a cookie")
	b.Post("/counter", nil)
	assert.Equal(t, "2", counter(t, b.Post("/counter", nil)))
	before := b.Cookies()

	page := b.Get("/account")
	assert.Equal(t, "/signin", page.Path, "the account is open to anybody")
	page = b.Post("/signin", signInAs("Ann"))
	assert.Equal(t, "/account", page.Path, "signing in must lead to where one wanted to go")
	assert.Equal(t, "Welcome, Ann.", flash(t, page))
	assert.Empty(t, flash(t, b.Get("/account")), "the flash was shown twice")
	assert.Equal(t, "2", counter(t, b.Get("/")), "signing in must keep what the session holds")
	assert.NotEqual(t, before, b.Cookies(), "signing in must change the ID")
	assert.Equal(t, "/signin", b.WithCookies(before).Get("/account").Path, "the ID from before is signed in as well")

	testEnds(t, b, backend)

	require.Zero(t, p.Stop(), "the program must end well when it is asked to")
	assert.Contains(t, p.Output(), "Stopped")
	p = start(t, exe, dir, args...)
	b.Visit(p.site)
	assert.Equal(t, "3", counter(t, b.Post("/counter", nil)))
	assert.Equal(t, "/account", b.Get("/account").Path, "signed out by the restart")

	old := b.Cookies()
	page = b.Post("/signout", nil)
	assert.Equal(t, "You are signed out.", flash(t, page))
	assert.Equal(t, "/signin", b.Get("/account").Path)
	assert.NotEqual(t, old, b.Cookies(), "the message must be in a session of its own")
	assert.Equal(t, "/signin", b.WithCookies(old).Get("/account").Path, "a copy of the old cookie is still signed in")
	require.Zero(t, p.Stop())
}

// testEnds signs in with a second browser, and ends it from the first.
func testEnds(t *testing.T, b *exampletest.Browser, backend backend) {
	other := b.WithCookies(nil)
	page := other.Post("/signin", signInAs("Ann"))
	assert.Contains(t, flash(t, page), "Welcome, Ann.\nYou are also signed in on")
	page = b.Get("/account/sessions")
	assert.Equal(t, 1, strings.Count(page.Body, "this browser"))
	handle := find(t, page, `name="handle" value="([^"]+)"`)
	page = b.Post("/account/sessions/end", url.Values{"handle": {handle}})
	assert.Contains(t, flash(t, page), "That session has ended", backend.name)
	assert.Equal(t, "/signin", other.Get("/account").Path, "still signed in")
	assert.Contains(t, flash(t, b.Post("/account/sessions/end", url.Values{"handle": {handle}})), "had ended already")
}

// testFlags checks that each mistake is named, with the remedy.
func testFlags(t *testing.T, exe string) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	dir := t.TempDir()

	for _, tt := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"help", []string{"-help"}, 0, []string{"-addr", "-backend", "-dsn", "-lifetime", "-name", "-release", "file, sqlite, postgres, mysql, redis, mongo", "localhost:2830", "demo.db for sqlite"}},
		{"unknown flag", []string{"-port", "1"}, 2, []string{"-port", "-help lists"}},
		{"argument", []string{"sqlite"}, 2, []string{`"sqlite" is no flag`, "-help lists"}},
		{"backend", []string{"-backend", "oracle"}, 2, []string{`-backend "oracle" is unknown`, "file, sqlite, postgres, mysql, redis, mongo"}},
		{"release", []string{"-name", "One", "-release", "3"}, 2, []string{"-release 3 is unknown", "1 or 2"}},
		{"port of a server taken", []string{"-name", "One", "-addr", taken.Addr().String()}, 1, []string{taken.Addr().String(), "choose another address with -addr"}},
		{"lifetime", []string{"-lifetime", "5ms"}, 2, []string{"-lifetime is 5ms", "one second at least"}},
		{"no duration", []string{"-lifetime", "soon"}, 2, []string{`"soon"`, "-lifetime"}},
		{"no such folder", []string{"-dsn", filepath.Join(dir, "none", "x.db")}, 1, []string{"none", "its folder must exist"}},
		{"port taken", []string{"-addr", taken.Addr().String()}, 1, []string{taken.Addr().String(), "choose another address with -addr"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := exampletest.Start(t, dir, exe, nil, append([]string{"-addr", "127.0.0.1:0"}, tt.args...)...)
			assert.Equal(t, tt.code, p.Wait())
			for _, want := range tt.want {
				assert.Contains(t, p.Output(), want)
			}
			assert.NotContains(t, p.Output(), "panic")
			if tt.code != 0 {
				assert.Equal(t, 1, strings.Count(p.Output(), "\n"), "an error is one line")
				assert.True(t, strings.HasPrefix(p.Output(), "demo: "), "who complains?")
			}
		})
	}
}

// flash returns the messages, one a line.
func flash(t *testing.T, p exampletest.Page) string {
	require.Equal(t, http.StatusOK, p.Status, p.Body)
	var list []string
	for _, m := range regexp.MustCompile(`<p class="notice \w+">([^<]*)<`).FindAllStringSubmatch(p.Body, -1) {
		list = append(list, m[1])
	}
	return strings.Join(list, "\n")
}

func counter(t *testing.T, p exampletest.Page) string {
	return find(t, p, `The counter is at </span>([0-9]+)<`)
}

func find(t *testing.T, p exampletest.Page, pattern string) string {
	t.Helper()
	require.Equal(t, http.StatusOK, p.Status, p.Body)
	found := regexp.MustCompile(pattern).FindStringSubmatch(p.Body)
	require.NotNil(t, found, "%s is not in %s", pattern, p.Body)
	return found[1]
}
