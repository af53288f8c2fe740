package measured

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func docs(t *testing.T, page string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "backends"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, file), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "backends", "a.md"), []byte(page), 0o600))
	return dir
}

// TestWrite replaces one part, and leaves the others and the page around them.
func TestWrite(t *testing.T) {
	const page = "# A\n\n<!-- measured: one -->\n<!-- /measured -->\n\nBetween.\n\n<!-- measured: two -->\n<!-- /measured -->\n"
	dir := docs(t, page)
	one := Part{"one", Table([]string{"", "µs"}, [][]string{{"memory", "1"}, {"files", ""}})}
	require.NoError(t, Write(dir, one, Part{"two", "first"}))
	require.NoError(t, Write(dir, Part{"two", "Measured somewhere.\n\nsecond"}))
	text, err := os.ReadFile(filepath.Join(dir, "backends", "a.md"))
	require.NoError(t, err)
	assert.Equal(t, strings.NewReplacer("one -->", "one -->\n\n|  | µs |\n|---|---:|\n| memory | 1 |\n| files |  |\n",
		"two -->", "two -->\n\nMeasured somewhere.\n\nsecond\n").Replace(page), string(text))
	parts, err := Read(dir)
	require.NoError(t, err)
	assert.Equal(t, []Part{one, {"two", "Measured somewhere.\n\nsecond"}}, parts)
	assert.Equal(t, [][]string{{"", "µs"}, {"memory", "1"}, {"files", ""}}, Cells(one.Text))
}

func TestPagesRefuse(t *testing.T) {
	for name, tt := range map[string]struct{ page, want string }{
		"a part that is not there": {"<!-- measured: a -->\n<!-- /measured -->\n<!-- measured: b -->\n<!-- /measured -->\n", `no part "b"`},
		"a part that is not shown": {"", `no page shows the part "a"`},
		"a part without an end":    {"<!-- measured: a -->\n\n<!-- measured: a -->\n<!-- /measured -->\n", "does not end"},
		"a part with an odd name":  {"<!-- measured: A -->\n<!-- /measured -->\n", "does not end"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.ErrorContains(t, Write(docs(t, tt.page), Part{"a", "|"}), tt.want)
		})
	}
}

// TestPicture draws a bar for each library that has the backend.
func TestPicture(t *testing.T) {
	svg := picture([][]string{
		{"µs per request", "ours", "scs", "×", "gorilla", "×"},
		{"files on disk, read", "25 ±1.8", "", "", "50 ±2", "2.0"},
		{"files on disk, write", "-0.1 ±1.8", "", "", "", ""},
		{"files on disk, new", "7", "8", "", "", ""},
	})
	for _, want := range []string{
		`<rect class="p0" x="96" y="64" width="100" height="14" rx="2"/><text x="201" y="75">25 <tspan class="dim">ours</tspan></text>`,
		`<rect class="p2" x="96" y="80" width="200" height="14" rx="2"/><text x="301" y="91">50 <tspan class="dim">gorilla</tspan></text>`,
		`<rect class="p0" x="420" y="64" width="0" height="14" rx="2"/><text x="425" y="75">-0.1 <tspan class="dim">ours</tspan></text>`,
		`text-anchor="end">files</text>`,
	} {
		assert.Contains(t, svg, want)
	}
	assert.NotContains(t, svg, ">scs<")
}
