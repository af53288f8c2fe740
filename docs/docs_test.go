// Package docs compiles the Go blocks of the documentation.
package docs

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var block = regexp.MustCompile("(?ms)^```go\n(.*?)^```")

// imports are what a block that is no whole file may use.
var imports = map[string]string{
	"context": "context", "fmt": "fmt", "http": "net/http", "log": "log", "os": "os",
	"strings": "strings", "time": "time", "errors": "errors", "expvar": "expvar", "gob": "encoding/gob", "template": "html/template",
	"flamego":  "github.com/flamego/flamego",
	"session":  "github.com/flamego/session",
	"sqlite":   "github.com/flamego/session/sqlite",
	"postgres": "github.com/flamego/session/postgres",
	"mysql":    "github.com/flamego/session/mysql",
	"redis":    "github.com/flamego/session/redis",
	"mongo":    "github.com/flamego/session/mongo",
	"cookie":   "github.com/flamego/session/cookie",
	"options":  "go.mongodb.org/mongo-driver/mongo/options",
}

// TestGoBlocks builds every Go block of README.md and of the guides: whole files
// as they are, others as the body of a function that has the usual variables.
func TestGoBlocks(t *testing.T) {
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	require.NoError(t, err)
	pages, err := filepath.Glob(filepath.Join(root, "docs", "backends", "*.md"))
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	files = append(append(files, pages...), filepath.Join(root, "README.md"))

	// Within the module, or they could not import it; the underscore hides them from
	// the patterns of other go commands.
	tmp, err := os.MkdirTemp(filepath.Join(root, "docs"), "_blocks")
	require.NoError(t, err)
	defer func() { _ = os.RemoveAll(tmp) }()
	where := make(map[string]string)
	programs := make(map[string]string) // by the page
	var pkgs, tests []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for i, m := range block.FindAllSubmatch(text, -1) {
			name := fmt.Sprintf("block%03d", len(pkgs)+len(tests))
			where[name] = fmt.Sprintf("%s, Go block %d", filepath.Base(file), i+1)
			source, base := wrap(string(m[1])), "main.go"
			pkg := "./docs/" + filepath.Base(tmp) + "/" + name
			if strings.Contains(source, "*testing.") {
				base = "main_test.go"
				tests = append(tests, pkg)
			} else {
				pkgs = append(pkgs, pkg)
			}
			if strings.Contains(source, "\n\tf.Run()\n") {
				programs[filepath.Base(file)] = pkg
				source = nodes.Replace(source)
			}
			dir := filepath.Join(tmp, name)
			require.NoError(t, os.Mkdir(dir, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, base), []byte(source), 0o600))
		}
	}
	require.GreaterOrEqual(t, len(pkgs)+len(tests), 15, "the blocks were not found")

	run := func(args ...string) {
		cmd := exec.Command("go", args...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		text := string(out)
		for name, place := range where {
			text = strings.ReplaceAll(text, name, place)
		}
		assert.NoError(t, err, "go %s\n%s", args[0], text)
	}
	run(append([]string{"vet"}, append(pkgs, tests...)...)...) // It compiles, and links nothing.
	// Tests run if they can do without a server.
	run(append([]string{"test", "-run", "^Test(Cart|SignedOutAfterAnHour|PasswordEndsTheOthers)$"}, tests...)...)
	runPrograms(t, root, programs)
}

// wrap makes a file of a block.
func wrap(code string) string {
	if strings.HasPrefix(code, "package ") {
		return code
	}
	var b strings.Builder
	b.WriteString("package main\n\nimport (\n")
	names := make([]string, 0, len(imports))
	for name := range imports {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if name == "flamego" || name == "session" || regexp.MustCompile(`\b`+name+`\.[A-Z]`).MatchString(code) {
			fmt.Fprintf(&b, "\t%q\n", imports[name])
		}
	}
	b.WriteString(")\n\nfunc main() {}\n\nfunc block(f *flamego.Flame, c flamego.Context, s session.Session) {\n\t{\n")
	b.WriteString(code)
	b.WriteString("\t}\n}\n")
	return b.String()
}

// TestFeaturesAreTested looks for the tests that the table of features names.
func TestFeaturesAreTested(t *testing.T) {
	page, err := os.ReadFile("features.md")
	require.NoError(t, err)
	var sources strings.Builder
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") {
			b, readErr := os.ReadFile(path)
			sources.Write(b)
			err = readErr
		}
		return err
	}))
	rows := regexp.MustCompile("(?m)^\\| .* \\| `(\\w+)` \\|$").FindAllStringSubmatch(string(page), -1)
	require.Greater(t, len(rows), 20)
	for _, row := range rows {
		name := row[1]
		found := strings.Contains(sources.String(), "func "+name+"(") || strings.Contains(sources.String(), `{name: "`+name+`"`)
		assert.True(t, found, "there is no test %s", name)
	}
}
