// Package deploy runs two versions of a program on one store, as docs/deploying.md says.
package deploy

import (
	"encoding/gob"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/postgres"
	"github.com/flamego/session/redis"
	"github.com/flamego/session/sqlite"
)

// stores are where sessions are. A test gets an address that nobody else has, a child process
// the options for it.
var stores = map[string]struct {
	address func(t *testing.T) string
	options func(address string) session.Options
}{
	"files": {(*testing.T).TempDir, func(dir string) session.Options {
		return session.Options{Initer: session.FileIniter(), Config: session.FileConfig{RootDir: dir}}
	}},
	"SQLite": {func(t *testing.T) string { return filepath.Join(t.TempDir(), "sessions.db") }, func(path string) session.Options {
		return session.Options{Initer: sqlite.Initer(), Config: sqlite.Config{DSN: path, InitTable: true}}
	}},
	"Redis": {func(t *testing.T) string { return testserver.Redis.Get(t).DSN + " " + fresh() }, func(address string) session.Options {
		addr, prefix, _ := strings.Cut(address, " ")
		return session.Options{Initer: redis.Initer(), Config: redis.Config{Options: &redis.Options{Addr: addr}, KeyPrefix: prefix}}
	}},
	"PostgreSQL": {func(t *testing.T) string { return testserver.Postgres.Get(t).DSN + " " + fresh() }, func(address string) session.Options {
		dsn, table, _ := strings.Cut(address, " ")
		return session.Options{Initer: postgres.Initer(), Config: postgres.Config{DSN: dsn, Table: table, InitTable: true}}
	}},
}

var names atomic.Int64

// fresh is a name on a server that other tests use, too.
func fresh() string {
	return fmt.Sprintf("deploy_%d_%d_%d", os.Getpid(), time.Now().Unix(), names.Add(1))
}

// The types of two versions of a program.
type (
	shopA     struct{ A int }
	shopAB    struct{ A, B int }
	shopAC    struct{ A, C int }
	shopAText struct{ A string }
)

// version is what a program registers, and what it keeps in the session.
type version struct {
	Name, Key string
	Value     any
}

// deployment is a row of docs/deploying.md.
type deployment struct {
	old, new           version
	oldReads, newReads string // of what the other has set
}

const shop = "shop.Cart"

var deployments = map[string]deployment{
	"a field more":         {version{shop, "cart", shopA{1}}, version{shop, "cart", shopAB{2, 3}}, "{A:2}", "{A:1 B:0}"},
	"a field less":         {version{shop, "cart", shopAB{1, 2}}, version{shop, "cart", shopA{3}}, "{A:3 B:0}", "{A:1}"},
	"another field":        {version{shop, "cart", shopAB{1, 2}}, version{shop, "cart", shopAC{3, 4}}, "{A:3 B:0}", "{A:1 C:0}"},
	"another field type":   {version{shop, "cart", shopA{1}}, version{shop, "cart", shopAText{"x"}}, "<nil>", "<nil>"},
	"another type name":    {version{"old.Cart", "cart", shopA{1}}, version{"new.Cart", "cart", shopA{2}}, "<nil>", "<nil>"},
	"moved under its name": {version{shop, "cart", shopA{1}}, version{shop, "cart", struct{ A int }{2}}, "{A:2}", "{A:1}"},
	"an unknown type":      {version{"", "cart", nil}, version{shop, "cart", shopA{2}}, "<nil>", "<nil>"},
	"another key":          {version{shop, "cart", shopA{1}}, version{shop, "basket", shopA{2}}, "<nil>", "<nil>"},
}

// TestDeploy runs two programs on one store. A program has one type for a name, so each
// step is a process of its own.
func TestDeploy(t *testing.T) {
	const child = "SESSION_DEPLOY"
	if in := os.Getenv(child); in != "" {
		deployStep(t, strings.Split(in, "|"))
		return
	}
	for kind, store := range stores {
		for name, d := range deployments {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				address, cookie := store.address(t), ""
				step := func(which, do string) string {
					cmd := exec.Command(os.Args[0], "-test.run=^TestDeploy$")
					cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"), child+"="+strings.Join([]string{name, which, do, kind, address, cookie}, "|"))
					cmd.Stderr = os.Stderr
					out, err := cmd.Output()
					require.NoError(t, err, "%s", out)
					_, line, _ := strings.Cut(string(out), "result ")
					var got struct{ Cookie, Value string }
					require.NoError(t, json.NewDecoder(strings.NewReader(line)).Decode(&got), "%s", out)
					cookie = got.Cookie
					return got.Value
				}
				own := fmt.Sprintf("%+v", d.new.Value)
				step("new", "sign in and set")
				assert.Equal(t, d.oldReads, step("old", "read and write"))
				assert.Equal(t, d.oldReads, step("old", "read and write"))
				assert.Equal(t, own, step("new", "read and write"))
				if d.old.Value == nil {
					return
				}
				cookie = ""
				step("old", "sign in and set")
				assert.Equal(t, d.newReads, step("new", "read and write"))
				assert.Equal(t, fmt.Sprintf("%+v", d.old.Value), step("old", "read and write"))
			})
		}
	}
}

// deployStep is one request to one version of the program.
func deployStep(t *testing.T, in []string) {
	v := deployments[in[0]].old
	if in[1] == "new" {
		v = deployments[in[0]].new
	}
	if v.Value != nil {
		gob.RegisterName(v.Name, v.Value)
	}
	var got struct{ Cookie, Value string }
	f := flamego.New()
	opt := stores[in[3]].options(in[4])
	opt.ErrorFunc = func(error) {}
	f.Use(session.Sessioner(opt))
	f.Get("/", func(s session.Session) {
		if in[2] == "sign in and set" {
			s.Set("userID", 42)
			s.Set(v.Key, v.Value)
			return
		}
		assert.Equal(t, 42, s.Get("userID"), "signed out")
		got.Value = fmt.Sprintf("%+v", s.Get(v.Key))
		session.Update(s, "n", func(n int) int { return n + 1 })
	})
	req, rec := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	req.Header.Set("Cookie", in[5])
	f.ServeHTTP(rec, req)
	assert.Equal(t, 200, rec.Code)
	got.Cookie = in[5]
	if c := rec.Result().Cookies(); len(c) > 0 {
		got.Cookie = c[0].Name + "=" + c[0].Value
	}
	b, err := json.Marshal(got)
	require.NoError(t, err)
	fmt.Printf("result %s\n", b)
}
