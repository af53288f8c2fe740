// Package shape keeps the backends thin: what they share belongs into the core.
package shape

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	root     = "../../.."
	maxFile  = 200 // lines in a file of a backend
	maxStart = 150 // non-blank lines of all backends' Initers and what they hand over
	sameRun  = 6   // equal lines in a row that two backends may not have in common
)

// backends are the files of each backend that are not tests.
func backends(t *testing.T) map[string][]string {
	t.Helper()
	list := make(map[string][]string)
	for name, pattern := range map[string]string{
		"memory": "memory*.go", "file": "file.go internal/filestore/*.go", "sqlite": "sqlite/*.go", "postgres": "postgres/*.go",
		"mysql": "mysql/*.go", "redis": "redis/*.go", "mongo": "mongo/*.go", "cookie": "cookie/*.go",
	} {
		for _, pattern := range strings.Fields(pattern) {
			paths, err := filepath.Glob(filepath.Join(root, pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range paths {
				if !strings.HasSuffix(p, "_test.go") {
					list[name] = append(list[name], p)
				}
			}
		}
		if len(list[name]) == 0 {
			t.Fatalf("no files of %s", name)
		}
	}
	return list
}

// lines reads a file without its indentation.
func lines(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var list []string
	for sc := bufio.NewScanner(f); sc.Scan(); {
		list = append(list, strings.TrimSpace(sc.Text()))
	}
	return list
}

func TestFiles(t *testing.T) {
	for _, paths := range backends(t) {
		for _, p := range paths {
			if n := len(lines(t, p)); n > maxFile {
				t.Errorf("%s has %d lines, more than %d", p, n, maxFile)
			}
		}
	}
}

// TestStart counts the functions that open a store: the Initers, what they hand
// to BackendIniter or ClientIniter, and what that is made of for files.
func TestStart(t *testing.T) {
	starts := map[string]bool{"Initer": true, "open": true, "MemoryIniter": true, "FileIniter": true, "openFile": true, "Open": true}
	total := 0
	for name, paths := range backends(t) {
		if name == "cookie" {
			continue // No storage system.
		}
		found := 0
		for _, p := range paths {
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, p, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			text := lines(t, p)
			for _, d := range file.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || fn.Recv != nil || !starts[fn.Name.Name] {
					continue
				}
				for _, l := range text[fset.Position(fn.Pos()).Line-1 : fset.Position(fn.End()).Line] {
					if l != "" {
						found++
					}
				}
			}
		}
		if found == 0 {
			t.Errorf("%s has no Initer that is known here", name)
		}
		total += found
		t.Logf("%s: %d", name, found)
	}
	if t.Logf("all: %d", total); total >= maxStart {
		t.Errorf("the backends take %d lines to start, %d are too many", total, maxStart)
	}
}

// TestCopies finds runs of equal lines in two backends, but for imports and
// comments: what the fields of a Config mean is said at each.
func TestCopies(t *testing.T) {
	seen := make(map[string]string)
	for name, paths := range backends(t) {
		for _, p := range paths {
			var code []string
			imports := false
			for _, l := range lines(t, p) {
				switch {
				case l == "import (":
					imports = true
				case imports:
					imports = l != ")"
				case l != "" && !strings.HasPrefix(l, "//"):
					code = append(code, l)
				}
			}
			for i := 0; i+sameRun <= len(code); i++ {
				run := strings.Join(code[i:i+sameRun], "\n")
				if other, ok := seen[run]; ok && other != name {
					t.Errorf("%s and %s share:\n%s", other, name, run)
				}
				seen[run] = name
			}
		}
	}
}
