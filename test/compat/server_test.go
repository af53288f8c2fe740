package compat

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/child"
	"github.com/flamego/session/internal/webclient"
	"github.com/flamego/session/test/compat/legacy/app"
)

// buildDir is where the program of v1.6.6 is, once it has been built.
var buildDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "compat")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	buildDir = dir
	app.Register()
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// legacyProgram builds the application with v1.6.6, which works in its folder
// only: two versions of one module cannot be in one program.
var legacyProgram = sync.OnceValues(func() (string, error) {
	exe := filepath.Join(buildDir, "legacy.exe") // Windows wants the ending.
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", exe, ".")
	cmd.Dir = "legacy"
	cmd.Env = goEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program of v1.6.6: %w\n%s", err, out)
	}
	// It would be worth nothing if it were ours in disguise.
	info, err := buildinfo.ReadFile(exe)
	if err != nil {
		return "", err
	}
	for _, dep := range info.Deps {
		if dep.Path == "github.com/flamego/session" && dep.Version == "v1.6.6" && dep.Replace == nil {
			return exe, nil
		}
	}
	return "", fmt.Errorf("the program in legacy/ is not built with v1.6.6: %v", info.Deps)
})

// goEnv keeps a go.work of the developer's out of the two modules.
func goEnv() []string { return append(os.Environ(), "GOWORK=off") }

// server is one member of a fleet.
type server struct {
	name string
	url  string
	m    *session.Manager // nil for v1.6.6
}

// start is how a test starts a server of either version.
type start func(t *testing.T, cfg app.Config) *server

// startOurs serves with this repository's version, in this process, where the
// race detector sees it. Whatever goes wrong in the background fails the test.
func startOurs(t *testing.T, cfg app.Config) *server {
	t.Helper()
	opt := app.Options(cfg)
	opt.ErrorFunc = func(err error) { t.Errorf("ours: %v", err) }
	m, err := session.NewManager(opt)
	require.NoError(t, err)
	srv := httptest.NewServer(app.New(m.Sessioner()))
	t.Cleanup(func() {
		srv.Close()
		require.NoError(t, m.Close(context.Background()))
	})
	return &server{name: "ours", url: srv.URL, m: m}
}

// startLegacy serves with v1.6.6, in another process.
func startLegacy(t *testing.T, cfg app.Config) *server {
	t.Helper()
	exe, err := legacyProgram()
	require.NoError(t, err)
	arg, err := json.Marshal(cfg)
	require.NoError(t, err)
	cmd := exec.Command(exe, string(arg))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	p := child.Start(t, cmd)
	t.Cleanup(func() {
		_ = p.End()
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("standard error of v1.6.6:\n%s", stderr.String())
		}
	})
	line := p.Line()
	address, ok := strings.CutPrefix(line, "listening ")
	require.True(t, ok, "v1.6.6 does not start: %q", line)
	return &server{name: "v1.6.6", url: address}
}

// visitor is one browser. The port makes no difference to a cookie, so all
// servers see the same one.
type visitor struct {
	*webclient.Browser
	t *testing.T
}

func newVisitor(t *testing.T) *visitor {
	t.Helper()
	return &visitor{webclient.New(t, "http://127.0.0.1").Stay(), t}
}

// visit asks for a page, whose parameters are given as k, v, k, v …
func (v *visitor) visit(s *server, path string, params ...string) (status int, body string) {
	v.t.Helper()
	query := make(url.Values)
	for i := 0; i < len(params); i += 2 {
		query.Set(params[i], params[i+1])
	}
	for range 5 {
		page := v.Get(s.url + path + "?" + query.Encode())
		status, body = page.Status, page.Body
		if s.m != nil || !strings.Contains(body, "Error 1213 (40001)") {
			break
		}
		// v1.6.6 does not try again when MySQL ends a deadlock at its cost.
		v.t.Logf("v1.6.6 answers %s: deadlock found", path)
	}
	return status, body
}

// want asks for a page and compares it.
func (v *visitor) want(want string, s *server, path string, params ...string) {
	v.t.Helper()
	status, body := v.visit(s, path, params...)
	require.Equal(v.t, http.StatusOK, status, "%s answers %s with %.1000s", s.name, path, body)
	require.Equal(v.t, want, body, "%s answers %s", s.name, path)
}

// signIn signs in on one server and goes where it is sent to, on another.
func (v *visitor) signIn(s, next *server, user string) {
	v.t.Helper()
	status, body := v.visit(s, "/signin", "user", user)
	require.Equal(v.t, http.StatusSeeOther, status, "%s answers /signin with %.1000s", s.name, body)
	v.want(user, next, "/whoami")
}

// id returns the session ID in the visitor's cookie, or "".
func (v *visitor) id() string {
	for _, c := range v.Cookies() {
		if c.Name == "fleet" {
			return c.Value
		}
	}
	return ""
}

// use gives the visitor a session ID.
func (v *visitor) use(id string) {
	v.Jar.SetCookies(v.Request(http.MethodGet, "/", nil).URL, []*http.Cookie{{Name: "fleet", Value: id, Path: "/"}})
}
