package docs

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	console = regexp.MustCompile("(?ms)^```console\n\\$ go (run \\./internal/sizing[^\n]*)\n(.*?)^```\n")
	bold    = regexp.MustCompile(`\*\*([0-9][0-9,]*)\*\*`)
)

// TestSizing runs the commands of the guide on scaling and compares what they
// print. The bold numbers of the text up to the next command must be in it, too.
func TestSizing(t *testing.T) {
	file, err := os.ReadFile("scaling.md")
	require.NoError(t, err)
	text := string(file)
	places := console.FindAllStringSubmatchIndex(text, -1)
	require.GreaterOrEqual(t, len(places), 3, "the commands were not found")
	for i, p := range places {
		command, want := text[p[2]:p[3]], text[p[4]:p[5]]
		cmd := exec.Command("go", strings.Fields(command)...)
		cmd.Dir = ".."
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s\n%s", command, out)
		assert.Equal(t, string(out), want, command)

		end := len(text)
		if i+1 < len(places) {
			end = places[i+1][0]
		}
		numbers := bold.FindAllStringSubmatch(text[p[1]:end], -1)
		require.NotEmpty(t, numbers, "no number in bold after %s", command)
		for _, n := range numbers {
			assert.Regexp(t, `\b`+strings.ReplaceAll(n[1], ",", "")+`\b`, string(out), command)
		}
	}
}
