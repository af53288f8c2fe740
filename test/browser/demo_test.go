// Package browser drives examples/demo with a real browser: what a person sees in one,
// with its profiles, tabs, cookies, history and cache, is no matter of HTTP alone.
package browser

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/child"
)

// password is that of every account of the demo.
const password = "open sesame"

// demo is the program, built once.
var demo string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "demo-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	demo = filepath.Join(dir, "demo")
	build := exec.Command("go", "build", "-o", demo, "./examples/demo")
	build.Dir = filepath.Join("..", "..") // with the requirements of its own module
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// serveOne runs one server alone, and returns the URL of its site.
func serveOne(t *testing.T) string {
	t.Helper()
	return serve(t, "-name", "One")
}

// serve runs the program until the end of the test, and returns the URL of the page with both
// servers.
func serve(t *testing.T, flags ...string) string {
	t.Helper()
	cmd := exec.Command(demo, append(flags, "-addr", "127.0.0.1:0", "-dsn", filepath.Join(t.TempDir(), "demo.db"))...)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	cmd.Stderr = log
	p := child.Start(t, cmd)
	for {
		line := p.Line()
		require.NotEmpty(t, line, "the program ended early")
		if _, rest, ok := strings.Cut(line, "Serving on "); ok {
			site, _, _ := strings.Cut(rest, " ")
			go func() {
				for p.Out.Scan() { // Or the program would wait for a reader.
				}
			}()
			return site
		}
	}
}
