package docs

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/ci/measured"
)

var (
	formula = regexp.MustCompile(`^([\d,]+) \+ ([\d.]*) ?\*b\*$`)
	// weighed are the lines of measured.txt that the formulas are about.
	weighed = map[string]string{"Redis": ", memory", "SQLite": ", the file", "MariaDB": "", "PostgreSQL": ", after six updates of each"}
)

// tableOf returns the rows of the table of a page whose head begins with a cell.
func tableOf(t *testing.T, page, head string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "\n| "+head+" |")
	require.True(t, found, "%s has no table of %q", page, head)
	table, _, _ = strings.Cut(table, "\n\n")
	return measured.Cells("| " + head + " |" + table)
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(strings.ReplaceAll(text, ",", ""), 64)
	require.NoError(t, err)
	return n
}

// bytesOf are the formulas of scaling.md for what a record takes, by the store, for b.
func bytesOf(t *testing.T, b float64) map[string]float64 {
	t.Helper()
	bytes := make(map[string]float64)
	for _, row := range tableOf(t, "scaling.md", "in short")[1:] {
		store := regexp.MustCompile(`^\w+`).FindString(row[0])
		if m := formula.FindStringSubmatch(row[1]); m != nil {
			factor := 1.0
			if m[2] != "" {
				factor = number(t, m[2])
			}
			bytes[store] = number(t, m[1]) + factor*b
		} else {
			assert.Equal(t, "256 + 4,096 for each block of 4,096 that is begun", row[1])
			bytes[store] = 256 + 4096*math.Ceil(b/4096)
		}
		if b == 300 {
			assert.Equal(t, bytes[store], number(t, row[2]), row[0])
		}
	}
	return bytes
}

// TestRecordBytes compares the formulas with what was measured.
func TestRecordBytes(t *testing.T) {
	rows := tableOf(t, "measured.txt", "bytes a session takes, of")
	for i, size := range rows[0][1:] {
		bytes := bytesOf(t, number(t, size))
		for store, suffix := range weighed {
			found := false
			for _, row := range rows[1:] {
				if strings.HasPrefix(row[0], store) && strings.HasSuffix(row[0], suffix) {
					found = true
					assert.InEpsilon(t, number(t, row[i+1]), bytes[store], 0.1, "%s, of %s", store, size)
				}
			}
			assert.True(t, found, store)
		}
	}
}

// TestSites does the arithmetic of the four sites.
func TestSites(t *testing.T) {
	const changes, sweep = 0.05, 300.0
	bytes := bytesOf(t, 300)
	rows := tableOf(t, "scaling.md", "site")
	for i := 1; i < len(rows[0]); i++ {
		all := strings.Split(rows[1][i], ", ")
		sessions, requests := number(t, all[0]), number(t, all[1])
		times := strings.Split(strings.NewReplacer(" h", "h", " min", "m", " s", "s").Replace(rows[2][i]), ", ")
		lifetime, err := time.ParseDuration(times[0])
		require.NoError(t, err)
		pace, err := time.ParseDuration(times[1])
		require.NoError(t, err)
		l := lifetime.Seconds()
		must := changes*requests + sessions/l // writes
		want := map[string]float64{
			"records":                                  sessions + sweep*sessions/l,
			"reads per second":                         requests,
			"writes per second":                        must + min(requests, 20*pace.Seconds()*requests/l),
			"if every request slid the expiry":         must + requests,
			"if visitors came as seldom as costs most": must + min(requests, 20*sessions/l),
			"removed per second":                       sessions / l,
		}
		for store, b := range bytes {
			want["MB in "+store] = want["records"] * b / 1e6
		}
		for _, row := range rows[3:] {
			assert.Contains(t, want, row[0])
			assert.Equal(t, math.Round(want[row[0]]), number(t, row[i]), "%s of %q", row[0], rows[0][i])
		}
	}
}
