package docs

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/child"
	"github.com/flamego/session/internal/freeport"
	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/internal/wait"
	"github.com/flamego/session/internal/webclient"
	"github.com/flamego/session/mysql"
	"github.com/flamego/session/postgres"
)

// nodes puts the test's servers in the place of those of a program that names them.
var nodes = strings.NewReplacer(
	`[]string{"redis-1:6379", "redis-2:6379", "redis-3:6379"}`, `strings.Split(os.Getenv("NODES"), ",")`,
	"import (\n\t\"github.com/flamego/flamego\"\n\tgoredis", "import (\n\t\"os\"\n\t\"strings\"\n\n\t\"github.com/flamego/flamego\"\n\tgoredis")

// visits are the pages of a program, one after the other in one browser, and what they show.
// Without a server that it needs, a program is not tested.
var visits = map[string]struct {
	pages [][2]string
	env   func(t *testing.T) []string
}{
	"README.md":          {pages: [][2]string{{"/", "Visit 1"}, {"/", "Visit 2"}}},
	"getting-started.md": {pages: [][2]string{{"/get", "Not signed in"}, {"/set", "Signed in"}, {"/get", "Welcome back"}}},
	"side-by-side.md":    {pages: [][2]string{{"/", "Welcome"}}},
	"mysql.md": {env: func(t *testing.T) []string {
		dsn := testserver.MariaDB.Get(t).DSN
		makeTable(t, session.Options{Initer: mysql.Initer(), Config: mysql.Config{DSN: dsn, InitTable: true}})
		return []string{"MYSQL_DSN=" + dsn}
	}},
	"postgres.md": {env: func(t *testing.T) []string {
		dsn := testserver.Postgres.Get(t).DSN
		c, err := pgx.Connect(t.Context(), dsn)
		require.NoError(t, err)
		_, err = c.Exec(t.Context(), "CREATE SCHEMA IF NOT EXISTS web")
		require.NoError(t, err)
		require.NoError(t, c.Close(t.Context()))
		makeTable(t, session.Options{Initer: postgres.Initer(), Config: postgres.Config{DSN: dsn, Table: "web.sessions", InitTable: true}})
		return []string{"DATABASE_URL=" + dsn}
	}},
	"redis.md": {env: func(t *testing.T) []string {
		return []string{"NODES=" + strings.Join(testserver.RedisCluster.Get(t).Addrs, ",")}
	}},
}

func makeTable(t *testing.T, opt session.Options) {
	t.Helper()
	m, err := session.NewManager(opt)
	require.NoError(t, err)
	require.NoError(t, m.Close(t.Context()))
}

// runPrograms starts each program that a page shows, and visits it.
func runPrograms(t *testing.T, root string, programs map[string]string) {
	for page := range visits {
		assert.Contains(t, programs, page, "the page shows no program any more")
	}
	dir := t.TempDir()
	for page, pkg := range programs {
		t.Run(page, func(t *testing.T) {
			v, ok := visits[page]
			require.True(t, ok, "a new program: what does it show?")
			exe := filepath.Join(dir, page+".exe")
			build := exec.Command("go", "build", "-o", exe, pkg)
			build.Dir = root
			out, err := build.CombinedOutput()
			require.NoError(t, err, "%s", out)
			port, reserved, err := freeport.Reserve()
			require.NoError(t, err)
			defer func() { _ = reserved.Close() }()
			addr := freeport.Loopback(port)

			cmd := exec.Command(exe)
			cmd.Env = append(os.Environ(), "FLAMEGO_ADDR="+addr)
			if v.env != nil {
				cmd.Env = append(cmd.Env, v.env(t)...)
				v.pages = [][2]string{{"/", "404 page not found"}}
			}
			p := child.Start(t, cmd)
			go func() {
				for p.Out.Scan() { // Its log must not fill the pipe.
				}
			}()
			require.NoError(t, wait.Until(time.Minute, func() error {
				c, err := net.Dial("tcp", addr)
				if err == nil {
					err = c.Close()
				}
				return err
			}))
			b := webclient.New(t, "http://"+addr)
			for _, visit := range v.pages {
				assert.Contains(t, b.Get(visit[0]).Body, visit[1])
			}
		})
	}
}
