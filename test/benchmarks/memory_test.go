package benchmarks

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMemory fills the memory store with sessions that hold one number, and prints what
// they take and what they do to those who read, beside v1.6.6.
func TestMemory(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 50_000
	}
	if s := os.Getenv("SESSIONS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatalf("SESSIONS: %v", err)
		}
	}
	var all []memoryFigures
	dir := t.TempDir()
	ours := oursMod(t, dir)
	for _, version := range []struct {
		name  string
		flags []string
		most  float64 // bytes of a session
	}{
		{"v1.6.6", nil, 0},
		{"ours", []string{"-mod=mod", "-modfile=" + ours}, 200},
	} {
		exe := filepath.Join(dir, version.name)
		build := osexec.Command("go", append(append([]string{"build", "-o", exe}, version.flags...), ".")...)
		build.Dir = "memory"
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
		var f memoryFigures
		for _, args := range [][]string{nil, {"-sweep"}} {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			run := osexec.CommandContext(ctx, exe, append(args, "-sessions", strconv.Itoa(n))...)
			run.Stderr = os.Stderr
			out, err := run.Output()
			if err != nil {
				t.Fatalf("%s: %v", version.name, err)
			}
			if err := json.Unmarshal(out, &f); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, f)
		if version.most > 0 && n >= 1_000_000 && f.Bytes > version.most {
			t.Errorf("a session takes %.0f bytes, more than %.0f", f.Bytes, version.most)
		}
		if version.most > 0 && f.Left > version.most/10 {
			t.Errorf("%.0f bytes of each session are left", f.Left)
		}
	}
	var rows [][]string
	for _, line := range memoryLines {
		rows = append(rows, []string{line.title, line.of(all[1]), line.of(all[0])})
	}
	report(t, "memory", len(memoryLines), []string{strings.Replace(thousands(n), "1,000,000", "a million", 1) + " sessions", "ours", "v1.6.6"}, rows)
}

// oursMod makes a go.mod that builds the program with this library.
func oursMod(t *testing.T, dir string) string {
	t.Helper()
	ours := filepath.Join(dir, "ours.mod")
	for _, ext := range []string{"mod", "sum"} {
		text, err := os.ReadFile(filepath.Join("memory", "go."+ext))
		if err != nil {
			t.Fatal(err)
		}
		if ext == "mod" {
			text = append(text, "\nreplace github.com/flamego/session => ../../..\n"...)
		}
		if err := os.WriteFile(filepath.Join(dir, "ours."+ext), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return ours
}

// memoryFigures are what the program prints: see there.
type memoryFigures struct {
	Bytes, Left, Fill, Collection, Processor, Sweep float64
	Calm, Collecting, Sweeping                      struct{ P50, P99, Slowest float64 }
}

var memoryLines = []struct {
	title string
	of    func(memoryFigures) string
}{
	{"bytes of a session", func(f memoryFigures) string { return fmt.Sprintf("%.0f", f.Bytes) }},
	{"the same once all of them were swept", func(f memoryFigures) string { return fmt.Sprintf("%.1f", f.Left) }},
	{"filling, s", func(f memoryFigures) string { return fmt.Sprintf("%.1f", f.Fill) }},
	{"a garbage collection, processor time, s", func(f memoryFigures) string { return fmt.Sprintf("%.1f", f.Processor) }},
	{"p99 of a read, nothing beside it, µs", func(f memoryFigures) string { return fmt.Sprintf("%.0f", f.Calm.P99) }},
	{"p99 of a read during collections, µs", func(f memoryFigures) string { return fmt.Sprintf("%.0f", f.Collecting.P99) }},
	{"sweeping all of them, s", func(f memoryFigures) string { return fmt.Sprintf("%.1f", f.Sweep) }},
	{"p99 of a read meanwhile, µs", func(f memoryFigures) string { return fmt.Sprintf("%.0f", f.Sweeping.P99) }},
}
