package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	excerpt = regexp.MustCompile("(?ms)^```golang\n(.*?)^```")
	program = regexp.MustCompile(`\]\(\.\./examples/([\w-]+)\)`)
)

// TestRecipes checks that what a recipe shows is in the first program that it links to.
func TestRecipes(t *testing.T) {
	page, err := os.ReadFile("recipes.md")
	require.NoError(t, err)
	shown := 0
	for _, section := range strings.Split(string(page), "\n## ")[1:] {
		title, _, _ := strings.Cut(section, "\n")
		linked := program.FindStringSubmatch(section)
		require.NotNil(t, linked, "%s: which program is it?", title)
		source, err := os.ReadFile(filepath.Join("../examples", linked[1], "main.go"))
		require.NoError(t, err, title)
		for _, m := range excerpt.FindAllStringSubmatch(section, -1) {
			shown++
			assert.Contains(t, unindented(string(source)), unindented(m[1]), "%s: the program has something else", title)
		}
	}
	assert.Greater(t, shown, 7, "the excerpts were not found")
}

func unindented(code string) string {
	lines := strings.Split(strings.TrimSpace(code), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "\n")
}
