package docs

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/ci/measured"
)

var write = flag.Bool("write", false, "write measured.txt into the pages")

// TestMeasured compares the figures of the pages with those that the commands that measure
// have written.
func TestMeasured(t *testing.T) {
	if *write {
		require.NoError(t, measured.Fill("."))
	}
	pages, err := measured.Pages(".")
	require.NoError(t, err)
	for path, want := range pages {
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		lines := strings.Split(string(got), "\n")
		for i, line := range strings.Split(want, "\n") {
			if i >= len(lines) || lines[i] != line {
				t.Errorf("%s, line %d: measured.txt has %q: make numbers", path, i+1, line)
				break
			}
		}
		assert.Len(t, got, len(want), "%s: make numbers", path)
	}
}
