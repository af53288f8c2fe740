package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	testFunc  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	suiteRule = regexp.MustCompile(`(?m)^\t\{name: "(\w+)", test: `)
	callRule  = regexp.MustCompile(`(?m)^\t\{"(\w+)", ".*", \w+\},$`)
	tableRow  = regexp.MustCompile(`(?m)^\| (\d+|7\.\d\.\d) \|(.*)\|$`)
	quoted    = regexp.MustCompile("`([^`]+)`")
)

// TestSecurity checks that every requirement is there, in order, and that the tests which
// show it exist.
func TestSecurity(t *testing.T) {
	tests := testNames(t)
	assert.NotContains(t, tests, "G7_NoSuchRule")
	page, err := os.ReadFile("security.md")
	require.NoError(t, err)

	var want, got []string
	for i := range 30 {
		want = append(want, fmt.Sprint(i+1))
	}
	for section, requirements := range []int{3, 4, 2, 5, 3, 2} {
		for i := range requirements {
			want = append(want, fmt.Sprintf("7.%d.%d", section+1, i+1))
		}
	}
	for _, row := range tableRow.FindAllStringSubmatch(string(page), -1) {
		number, cells := row[1], strings.Split(row[2], "|")
		got = append(got, number)
		require.Len(t, cells, 6, number)
		names := quoted.FindAllStringSubmatch(cells[4], -1)
		for _, name := range names {
			assert.Contains(t, tests, name[1], "%s is said to be shown by a test that there is not", number)
		}
		if number != "7.1.3" && number != "7.4.4" {
			assert.NotEmpty(t, names, "%s names no test", number)
		}
	}
	assert.Equal(t, want, got)
}

// testNames are the names of the module's tests, and of the rules in the suites.
func testNames(t *testing.T) map[string]bool {
	names := make(map[string]bool)
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != ".." && strings.HasPrefix(d.Name(), "."), d.IsDir() && strings.HasPrefix(d.Name(), "_"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, "_test.go") {
			for _, m := range testFunc.FindAllSubmatch(text, -1) {
				names[string(m[1])] = true
			}
		}
		if filepath.Base(filepath.Dir(path)) == "drivertest" {
			for _, m := range suiteRule.FindAllSubmatch(text, -1) {
				names[string(m[1])] = true
			}
			for _, m := range callRule.FindAllSubmatch(text, -1) {
				names["Backend/"+string(m[1])] = true
			}
		}
		return nil
	})
	require.NoError(t, err)
	for _, name := range []string{"TestSecurity", "FuzzCookie", "G1_RoundTrip", "Backend/Create"} {
		require.Contains(t, names, name, "the tests were not found")
	}
	return names
}
