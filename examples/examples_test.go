// Package examples tests the example programs.
package examples

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/examples/internal/exampletest"
	"github.com/flamego/session/internal/testserver"
)

// restart is a step that stops the program and starts it again.
const restart = "restart"

// step requests a page, and says what it must contain.
type step struct{ path, want string }

// storing is what the programs do that differ only in their store.
func storing(afterRestart string) []step {
	return []step{
		{"/get", "Not authenticated"},
		{"/set", "Succeed"},
		{"/get", "Authenticated as 123"},
		{restart, ""},
		{"/get", afterRestart},
		{"/set", "Succeed"},
		{"/clear", "Cleared"},
		{"/get", "Not authenticated"},
	}
}

var programs = map[string][]step{
	"memory": storing("Not authenticated"),
	"file":   storing("Authenticated as 123"),
	"sqlite": storing("Authenticated as 123"),

	"postgres": storing("Authenticated as 123"),
	"mysql":    storing("Authenticated as 123"),
	"redis":    storing("Authenticated as 123"),
	"mongo":    storing("Authenticated as 123"),
	"flash": {
		{"/get", "No flash message"},
		{"/set", "Succeed"},
		{"/get", "Your changes are saved"},
		{"/get", "No flash message"},
	},
	"flash-types": {
		{"/set-simple", "Succeed"},
		{"/get-simple", "Your changes are saved"},
		{"/get-simple", "No flash message"},
		{"/set-complex", "Succeed"},
		{"/get-complex", `main.Flash{Success:"The parcel is on its way", Error:""}`},
		{"/get-complex", "No flash message"},
		{"/set-complex", "Succeed"},
		{"/get-simple", "No flash message"},  // It is of the other type,
		{"/get-complex", "No flash message"}, // and was for the next request only.
	},
	"gob-register": {
		{"/get", "The cart is empty"},
		{"/set", "Succeed"},
		{"/get", "tea and sugar for 750 cents"},
		{restart, ""},
		{"/get", "tea and sugar for 750 cents"},
		{"/clear", "Cleared"},
		{"/get", "The cart is empty"},
	},
}

// servers have, for the programs that need one, the variables that name it.
var servers = map[string]func(t *testing.T) []string{
	"postgres": func(t *testing.T) []string {
		u, err := url.Parse(testserver.Postgres.Get(t).DSN)
		require.NoError(t, err)
		password, _ := u.User.Password()
		return []string{
			"PGUSER=" + u.User.Username(), "PGPASSWORD=" + password, "PGHOST=" + u.Hostname(), "PGPORT=" + u.Port(),
			"PGDATABASE=" + strings.TrimPrefix(u.Path, "/"), "PGSSLMODE=disable",
		}
	},
	"mysql": func(t *testing.T) []string {
		cfg, err := mysql.ParseDSN(testserver.MariaDB.Get(t).DSN)
		require.NoError(t, err)
		host, port, err := net.SplitHostPort(cfg.Addr)
		require.NoError(t, err)
		return []string{
			"MYSQL_USER=" + cfg.User, "MYSQL_PASSWORD=" + cfg.Passwd, "MYSQL_HOST=" + host, "MYSQL_PORT=" + port,
			"MYSQL_DATABASE=" + cfg.DBName,
		}
	},
	"redis": func(t *testing.T) []string {
		host, port, err := net.SplitHostPort(testserver.Redis.Get(t).Addr)
		require.NoError(t, err)
		return []string{"REDIS_HOST=" + host, "REDIS_PORT=" + port}
	},
	"mongo": func(t *testing.T) []string {
		return []string{"MONGODB_URI=" + testserver.Mongo.Get(t).DSN, "MONGODB_DATABASE=examples"}
	},
}

func TestPrograms(t *testing.T) {
	var packages []string
	for name := range programs {
		packages = append(packages, "./"+name)
	}
	bin := exampletest.Build(t, packages...)
	for name, steps := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var env []string
			if server := servers[name]; server != nil {
				env = server(t)
			}
			start := func() (*exampletest.Process, string) {
				return exampletest.StartOnPort(t, dir, filepath.Join(bin, name), func(addr string) []string {
					return append([]string{"FLAMEGO_ADDR=" + addr, "TMPDIR=" + dir}, env...)
				})
			}
			p, addr := start()
			b := exampletest.NewBrowser(t, "http://"+addr)
			other := exampletest.NewBrowser(t, "http://"+addr)
			for i, s := range steps {
				if s.path == restart {
					p.Stop()
					p, addr = start()
					b.Visit("http://" + addr)
					other.Visit("http://" + addr)
					continue
				}
				// A visitor besides, who must never see what belongs to the first.
				if i > 0 && s.path == steps[0].path {
					assert.Equal(t, steps[0].want, other.Get(s.path).Body, "step %d: somebody else's session", i)
				}
				page := b.Get(s.path)
				require.Equal(t, http.StatusOK, page.Status, "step %d, %s: %s", i, s.path, page.Body)
				require.Equal(t, s.want, page.Body, "step %d, %s", i, s.path)
			}
			p.Stop()
		})
	}
}

// ownTests are the programs that have tests in their own folder, within which
// time can go by. Here they are only started.
var ownTests = []string{
	"api-and-pages", "bearer", "counter", "custom-id", "instrumented-backend", "login", "nethttp", "observe", "online", "opt-out", "password",
	"side-by-side", "sudo", "url-ids",
}

func TestStart(t *testing.T) {
	var packages []string
	for _, name := range ownTests {
		packages = append(packages, "./"+name)
	}
	bin := exampletest.Build(t, packages...)
	for _, name := range ownTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p, addr := exampletest.StartOnPort(t, dir, filepath.Join(bin, name), func(addr string) []string {
				return []string{"FLAMEGO_ADDR=" + addr, "TMPDIR=" + dir}
			})
			b := exampletest.NewBrowser(t, "http://"+addr)
			assert.Less(t, b.Get("/").Status, http.StatusInternalServerError)
			p.Stop()
		})
	}
}

// Every program is tested, and listed in the README.
func TestNoneForgotten(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, e := range entries {
		if name := e.Name(); e.IsDir() && name != "internal" {
			assert.Contains(t, string(readme), "| ["+name+"]("+name+") |", "README.md does not list it")
			if own, _ := filepath.Glob(name + "/*_test.go"); len(own) == 0 {
				assert.Contains(t, programs, name, "no test runs it")
			} else if !slices.Contains([]string{"demo", "cookie", "csrf", "move", "prometheus"}, name) { // Which their own tests start, serve, or call.
				assert.Contains(t, ownTests, name, "no test starts it")
			}
		}
	}
}
