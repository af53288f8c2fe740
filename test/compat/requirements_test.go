package compat

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// TestTemplate builds an application that requires this library and
// flamego/template in its newest version, which compiles only with the Flamego
// that v1.6.6 asks for: whatever our go.mod requires, the application gets.
func TestTemplate(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	source, err := os.ReadFile(filepath.Join("testdata", "template", "main.go"))
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "templates"), 0o700)) // Templater wants one.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), source, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), fmt.Appendf(nil, `module example.com/app

go 1.26.0

require (
	github.com/flamego/session v0.0.0
	github.com/flamego/template v1.2.2
)

replace github.com/flamego/session => %q
`, root), 0o600))
	// Flamego is required by both: -mod=mod writes down the version that they ask for.
	cmd := exec.Command("go", "run", ".")
	cmd.Dir = dir
	cmd.Env = append(goEnv(), "GOFLAGS=-mod=mod -buildvcs=false")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// raised are the modules of which we require more than v1.6.6 did. docs/migrating.md
// gives the reasons.
var raised = map[string]string{
	"filippo.io/edwards25519": "v1.1.1",
	"golang.org/x/crypto":     "v0.45.0",
	"golang.org/x/text":       "v0.31.0",

	"modernc.org/sqlite":             "v1.61.1",
	"github.com/dustin/go-humanize":  "v1.1.0",
	"github.com/mattn/go-isatty":     "v0.0.24",
	"github.com/ncruces/go-strftime": "v1.1.0",
	"golang.org/x/sync":              "v0.24.0",
	"golang.org/x/sys":               "v0.49.0",
	"modernc.org/libc":               "v1.79.0",
	"modernc.org/memory":             "v1.12.1",
}

// TestRequirements keeps what go.mod requires from growing unnoticed: whoever
// updates from v1.6.6 gets nothing else updated that need not be.
func TestRequirements(t *testing.T) {
	theirs, ours := requirements(t, legacyGoMod(t)), requirements(t, filepath.Join("..", "..", "go.mod"))
	require.NotEmpty(t, theirs.Require)
	require.LessOrEqual(t, semver.Compare("v"+ours.Go.Version, "v"+theirs.Go.Version), 0, "the go directive")
	most := make(map[string]string)
	for _, r := range theirs.Require {
		most[r.Mod.Path] = r.Mod.Version
	}
	for path, version := range raised {
		most[path] = version
	}
	for _, r := range ours.Require {
		require.Contains(t, most, r.Mod.Path, "v1.6.6 did not require it")
		require.LessOrEqual(t, semver.Compare(r.Mod.Version, most[r.Mod.Path]), 0,
			"%s: requirements are lower bounds, see CONTRIBUTING.md", r.Mod)
	}
}

func requirements(t *testing.T, file string) *modfile.File {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	f, err := modfile.Parse(file, b, nil)
	require.NoError(t, err)
	return f
}

// legacyGoMod is where the module cache has the go.mod of v1.6.6.
func legacyGoMod(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("go", "list", "-m", "-f", "{{.GoMod}}", module)
	cmd.Dir = "legacy"
	cmd.Env = goEnv()
	out, err := cmd.Output()
	require.NoError(t, err)
	return string(out[:len(out)-1])
}
