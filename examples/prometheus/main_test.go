package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/examples/internal/exampletest"
	"github.com/flamego/session/sessiontest"
)

func start(t *testing.T) (b *exampletest.Browser, dir string) {
	reg, dir := prometheus.NewRegistry(), filepath.Join(t.TempDir(), "sessions")
	m := exampletest.Open(t, options(reg, dir), sessiontest.NewClock())
	return exampletest.NewBrowser(t, exampletest.Serve(t, newApp(m, reg))), dir
}

func signIn(b *exampletest.Browser) exampletest.Page {
	return b.Post("/signin", url.Values{"name": {"ann"}})
}

// scrape returns the samples by name and labels, as the page has them.
func scrape(t *testing.T, b *exampletest.Browser) map[string]float64 {
	t.Helper()
	page := b.Get("/metrics")
	require.Equal(t, http.StatusOK, page.Status, page.Body)
	samples := make(map[string]float64)
	for line := range strings.Lines(page.Body) {
		if !strings.HasPrefix(line, "#") {
			i := strings.LastIndex(line, " ")
			value, err := strconv.ParseFloat(strings.TrimSpace(line[i+1:]), 64)
			require.NoError(t, err, line)
			samples[line[:i]] = value
		}
	}
	return samples
}

func TestMetrics(t *testing.T) {
	b, _ := start(t)
	kind := func(k session.EventKind) string { return `session_events_total{kind="` + k.String() + `"}` }
	m := scrape(t, b)
	assert.Zero(t, m["session_live"])
	assert.Contains(t, m, kind(session.Began), "a rate needs a zero to start from")

	require.Equal(t, http.StatusOK, signIn(b).Status)
	assert.Equal(t, "Hello ann", b.Get("/").Body)
	old := b.Cookies()
	m = scrape(t, b)
	assert.EqualValues(t, 1, m[kind(session.Began)])
	assert.EqualValues(t, 1, m[kind(session.Loaded)])
	assert.EqualValues(t, 1, m["session_live"], "without its owner's list")
	loads := m[`session_store_call_duration_seconds_count{op="load",outcome="store_call"}`]
	assert.Positive(t, loads)
	assert.Equal(t, loads, m[`session_store_call_duration_seconds_bucket{op="load",outcome="store_call",le="+Inf"}`])
	assert.Positive(t, m[`session_store_call_duration_seconds_sum{op="load",outcome="store_call"}`])

	b.Post("/signout", nil)
	b.WithCookies(old).Get("/")
	m = scrape(t, b)
	assert.EqualValues(t, 1, m[kind(session.Ended)])
	assert.EqualValues(t, 1, m[kind(session.UnknownID)])
}

// When the store fails, the metrics say so.
func TestOutage(t *testing.T) {
	b, dir := start(t)
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.WriteFile(dir, nil, 0o600)) // No folder can be here.
	require.Equal(t, http.StatusInternalServerError, signIn(b).Status)
	failed := 0.0
	for name, n := range scrape(t, b) {
		if strings.HasPrefix(name, "session_store_call_duration_seconds_count") && strings.Contains(name, `outcome="store_error"`) {
			failed += n
		}
	}
	assert.Positive(t, failed)
}

var (
	matchers = regexp.MustCompile(`(\w+)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`(\w+)(?:=|=~|!=|!~)"([^"]*)"`)
	grouping = regexp.MustCompile(`by \(([^)]*)\)`)
	other    = regexp.MustCompile(`\{[^}]*\}|\[[^]]*\]|\w+ *\(|\b[0-9.]+\b|[^\w]`) // what is neither a metric nor in between
)

// TestDashboard checks that the dashboard asks for what is exported, and for all of it.
func TestDashboard(t *testing.T) {
	file, err := os.ReadFile("dashboard.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(file, &dashboard))

	b, _ := start(t)
	signIn(b)
	names, labels := map[string]bool{}, map[string]bool{} // The latter as name{label.
	values := map[string]bool{}
	for sample := range scrape(t, b) {
		name, rest, _ := strings.Cut(sample, "{")
		names[name] = true
		for _, l := range matcher.FindAllStringSubmatch(rest, -1) {
			labels[name+"{"+l[1]], values[l[2]] = true, true
		}
	}
	// A store call has these outcomes when it has them.
	values[session.StoreError.String()], values[session.Conflict.String()] = true, true

	asked := map[string]bool{}
	for _, p := range dashboard.Panels {
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			for _, m := range matchers.FindAllStringSubmatch(target.Expr, -1) {
				for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
					assert.True(t, labels[m[1]+"{"+l[1]], "%s: %s has no label %s", p.Title, m[1], l[1])
					for _, v := range strings.Split(l[2], "|") {
						assert.True(t, values[v], "%s: %s is never %s", p.Title, l[1], v)
					}
				}
			}
			found := strings.Fields(other.ReplaceAllString(grouping.ReplaceAllString(target.Expr, ""), " "))
			require.Len(t, found, 1, "%s: the metrics in %s", p.Title, target.Expr)
			assert.True(t, names[found[0]], "%s: there is no metric %s", p.Title, found[0])
			for _, g := range grouping.FindAllStringSubmatch(target.Expr, -1) {
				for _, l := range strings.Split(g[1], ", ") {
					assert.True(t, labels[found[0]+"{"+l], "%s: %s has no label %s", p.Title, found[0], l)
				}
			}
			asked[family(found[0])] = true
		}
	}
	for name := range names {
		assert.True(t, asked[family(name)], "no panel shows %s", name)
	}
}

// family is the metric that a sample of a histogram belongs to.
func family(name string) string {
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}
