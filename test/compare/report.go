package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/template"
	"time"
)

//go:embed performance.md.tmpl
var text string

// page is docs/performance.md: one part for each way to measure, between comments that
// name it. A run replaces its own part, and leaves the others alone.
var page = template.Must(template.New("").Parse(text))

// compare measures and counts.
func compare(ctx context.Context, b *bench) error {
	p := plan{budget: 9 * time.Minute, rounds: 25, longest: 200 * time.Millisecond}
	if b.quick {
		p = plan{budget: 45 * time.Second, rounds: 7, longest: 50 * time.Millisecond}
	}
	f, err := b.measure(ctx, p)
	if err != nil {
		return err
	}
	c, err := b.count(ctx)
	if err != nil {
		return err
	}
	if b.out != "" {
		if err := os.WriteFile(filepath.Join(b.out, "performance.svg"), picture(b.stores, f), 0o644); err != nil {
			return err
		}
	}
	return errors.Join(
		b.publish("compare", map[string]any{
			"Machine": machine(b.dir), "Versions": b.versions(), "Quick": b.quick, "Rounds": p.rounds,
			"CPU": cpuTable(b.stores, f), "All": fullTable(b.stores, f),
			"Notes": append(slices.Clone(b.leftOut), wrongAnswers(b.stores, f)...),
		}),
		b.publishCounts(c),
	)
}

// count only counts.
func count(ctx context.Context, b *bench) error {
	c, err := b.count(ctx)
	if err != nil {
		return err
	}
	return b.publishCounts(c)
}

func (b *bench) publishCounts(c counts) error {
	return b.publish("count", map[string]any{
		"Requests": counted, "Trips": tripsTable(b.stores, c), "Syscalls": syscallTable(c), "Notes": b.leftOut,
	})
}

// publish prints a part, and puts it into its place in the file.
func (b *bench) publish(part string, data any) error {
	var buf bytes.Buffer
	if err := page.ExecuteTemplate(&buf, part, data); err != nil {
		return err
	}
	body := strings.TrimSpace(buf.String())
	fmt.Println(body + "\n")
	if b.out == "" {
		return nil
	}
	path := filepath.Join(b.out, "performance.md")
	old, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		buf.Reset()
		err = page.ExecuteTemplate(&buf, "page", nil)
		old = buf.Bytes()
	}
	if err != nil {
		return err
	}
	begin, end := "<!-- "+part+" -->\n", "<!-- /"+part+" -->"
	before, rest, found := strings.Cut(string(old), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("%s has no part %q: remove it, and it is made anew", path, part)
	}
	return os.WriteFile(path, []byte(before+begin+"\n"+body+"\n\n"+end+after), 0o644)
}

// table is one of Markdown. Its cells are aligned to the right but for the first.
func table(head []string, rows [][]string) string {
	var s strings.Builder
	line := func(cells []string) { s.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(head)
	s.WriteString("|---|" + strings.Repeat("---:|", len(head)-1) + "\n")
	for _, r := range rows {
		line(r)
	}
	return strings.TrimSpace(s.String())
}

var routeNames = map[string]string{untouched: "untouched", read: "read", write: "write", fresh: "new"}

// micro writes µs, so that the last digit means something.
func micro(v float64) string {
	switch {
	case math.IsNaN(v):
		return ""
	case math.Abs(v) < 9.95:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}

// String has the error where it can be seen.
func (e estimate) String() string {
	if math.IsNaN(e.value) {
		return ""
	}
	if e.err < 0.05 {
		return micro(e.value)
	}
	return micro(e.value) + " ±" + micro(e.err)
}

// ratio is how many times as expensive theirs is. Of what may be chance there is none.
func ratio(theirs, ours estimate) string {
	switch r := theirs.value / ours.value; {
	case math.IsNaN(r):
		return ""
	case !ours.clear() || !theirs.clear():
		return "–"
	case r < 10:
		return fmt.Sprintf("%.1f", r)
	default:
		return fmt.Sprintf("%.0f", r)
	}
}

// cpuTable is what a request costs the server above the bare route.
func cpuTable(stores []*store, f figures) string {
	var rows [][]string
	for _, st := range stores {
		for _, c := range cellsOf(st.name) {
			if c.conns != 8 {
				continue
			}
			ours := f.above(c, peers[0])
			row := []string{st.title + ", " + c.what(), ours.String()}
			for _, p := range peers[1:] {
				theirs := f.above(c, p)
				row = append(row, theirs.String(), ratio(theirs, ours))
			}
			rows = append(rows, row)
		}
	}
	head := []string{"µs per request", peers[0].name}
	for _, p := range peers[1:] {
		head = append(head, p.name, "×")
	}
	return table(head, rows)
}

// fullTable has everything that depends on the number of connections.
func fullTable(stores []*store, f figures) string {
	var rows [][]string
	conns := []int{1, 8, 64}
	line := func(title string, c cell, name string, cpu func(cell) float64) {
		row := []string{title}
		quantities := []func(cell) string{
			func(c cell) string { return micro(cpu(c)) },
			func(c cell) string {
				return fmt.Sprintf("%.0f", f.of(c, name, func(s sample) float64 { return s.perSecond() }))
			},
			func(c cell) string {
				return fmt.Sprintf("%.2f", f.rank(c, name, 99))
			},
		}
		for _, q := range quantities {
			for _, n := range conns {
				row = append(row, q(cell{backend: c.backend, route: c.route, conns: n}))
			}
		}
		rows = append(rows, row)
	}
	for i, st := range stores {
		for _, route := range []string{read, write} {
			c := cell{backend: st.name, route: route, conns: 8}
			if i == 0 && route == read { // Those without sessions, once.
				for _, p := range bares {
					line("no sessions, "+p.name, c, p.name, func(c cell) float64 {
						return f.of(c, p.name, func(s sample) float64 { return s.cpu })
					})
				}
			}
			for _, p := range peersOf(st.name) {
				if len(f[c][p.name]) > 0 {
					line(st.title+", "+routeNames[route]+", "+p.name, c, p.name, func(c cell) float64 { return f.above(c, p).value })
				}
			}
		}
	}
	head := []string{""}
	for _, q := range []string{"CPU µs", "req/s", "p99 ms"} {
		for _, n := range conns {
			head = append(head, fmt.Sprintf("%s, %d", q, n))
		}
	}
	return table(head, rows)
}

// wrongAnswers tells of answers that the contract does not allow.
func wrongAnswers(stores []*store, f figures) (notes []string) {
	for _, st := range stores {
		for _, c := range cellsOf(st.name) {
			for _, p := range peersOf(st.name) {
				wrong, requests, example := 0, 0, error(nil)
				for _, s := range f[c][p.name] {
					wrong, requests = wrong+s.wrong, requests+s.requests
					if s.example != nil {
						example = s.example
					}
				}
				if wrong > 0 {
					notes = append(notes, fmt.Sprintf("%s on %s, %s: %d of %d answers were wrong (%v)",
						p.name, st.title, c, wrong, requests, example))
				}
			}
		}
	}
	return notes
}

func tripsTable(stores []*store, c counts) string {
	var rows [][]string
	for _, st := range stores {
		if c.trips[st.name] == nil {
			continue
		}
		for _, route := range countedRoutes {
			row := []string{st.title + ", " + routeNames[route]}
			for _, p := range peers {
				n, ok := c.trips[st.name][route][p.name]
				if !ok {
					row = append(row, "")
					continue
				}
				row = append(row, strings.TrimSuffix(fmt.Sprintf("%.1f", n), ".0"))
			}
			rows = append(rows, row[:4])
		}
	}
	if rows == nil {
		return ""
	}
	return table([]string{"round trips per request", peers[0].name, peers[1].name, peers[2].name}, rows)
}

func syscallTable(c counts) string {
	var rows [][]string
	for _, route := range countedRoutes {
		for _, p := range peers {
			if n, ok := c.syscalls[route][p.name]; ok {
				rows = append(rows, []string{routeNames[route] + ", " + p.name, fmt.Sprintf("%.1f", n.total()), n.String()})
			}
		}
	}
	if rows == nil {
		return ""
	}
	return strings.Replace(table([]string{"files", "system calls per request", "which"}, rows), "---:|---:|", "---:|---|", 1)
}

// machine says what the figures were measured on.
func machine(dir string) string {
	field := func(path, name string) string {
		data, err := os.ReadFile(path)
		if err != nil {
			return "unknown"
		}
		for line := range strings.Lines(string(data)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), name)
			if key == "" && value != "" {
				return strings.Trim(value, "\t :\"")
			}
		}
		return "unknown"
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	// The third is of the last quarter of an hour. What is far above the number of cores
	// comes from other work.
	load := "unknown"
	if data, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = strings.Fields(string(data))[2]
	}
	return fmt.Sprintf("%s, %d cores, load average %s in the end; %s, Linux %s; files on %s; %s", field("/proc/cpuinfo", "model name"), runtime.NumCPU(), load,
		field("/etc/os-release", "PRETTY_NAME="), strings.TrimSpace(string(kernel)), fileSystem(dir), runtime.Version())
}

// fileSystem is what a folder is on. The journal matters: see what the page says of files.
func fileSystem(dir string) string {
	out, _ := exec.Command("findmnt", "-n", "-o", "FSTYPE,SOURCE", "-T", dir).Output()
	fields := strings.Fields(string(out))
	if len(fields) < 2 {
		return "an unknown file system"
	}
	options, err := os.ReadFile(filepath.Join("/proc/fs/ext4", filepath.Base(fields[1]), "options"))
	switch {
	case err != nil:
		return fields[0]
	case bytes.Contains(options, []byte("\ndata=")):
		return "ext4 with a journal"
	default:
		return "ext4 without a journal"
	}
}

// versions are those of libraries, frameworks, drivers and servers.
func (b *bench) versions() string {
	var parts []string
	for _, p := range []struct{ program, path, name string }{
		{"legacy", "github.com/flamego/flamego", "flamego"},
		{"nethttp", "github.com/alexedwards/scs/v2", "scs"},
		{"nethttp", "github.com/gorilla/sessions", "gorilla/sessions"},
		{"legacy", "github.com/redis/go-redis/v9", "go-redis"},
		{"legacy", "github.com/jackc/pgx/v5", "pgx"},
		{"legacy", "github.com/go-sql-driver/mysql", "go-sql-driver/mysql"},
		{"legacy", "modernc.org/sqlite", "modernc.org/sqlite"},
		{"legacy", "go.mongodb.org/mongo-driver", "mongo-driver"},
	} {
		part := p.name + " " + b.programs[p.program].versions[p.path]
		if ours, ok := b.programs["ours"].versions[p.path]; ok && ours != b.programs[p.program].versions[p.path] {
			part += " (with ours " + ours + ")"
		}
		parts = append(parts, part)
	}
	for _, st := range b.stores {
		if st.server != "" {
			parts = append(parts, st.title)
		}
	}
	return strings.Join(parts, ", ")
}
