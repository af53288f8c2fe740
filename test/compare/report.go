package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/flamego/session/internal/ci/measured"
)

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
	// It is published together, and not at all when one part of it fails.
	return b.publish(append([]measured.Part{
		{Name: "cpu", Text: fmt.Sprintf("Medians of %d slices, measured on %s. %s.\n\n%s%s", p.rounds, measured.Machine(b.dir), b.versions(), cpuTable(b.stores, f),
			notes(append(slices.Clone(b.leftOut), wrongAnswers(b.stores, f)...)))},
		{Name: "connections", Text: fullTable(b.stores, f)},
	}, b.countParts(c)...)...)
}

// count only counts.
func count(ctx context.Context, b *bench) error {
	c, err := b.count(ctx)
	if err != nil {
		return err
	}
	return b.publish(b.countParts(c)...)
}

func (b *bench) countParts(c counts) []measured.Part {
	each := fmt.Sprintf("Of %d requests, one after the other.\n\n", counted)
	return []measured.Part{
		{Name: "trips", Text: each + tripsTable(b.stores, c) + notes(b.leftOut)},
		{Name: "syscalls", Text: each + syscallTable(c)},
	}
}

// notes tell of what is not as it should be.
func notes(of []string) string {
	if len(of) == 0 {
		return ""
	}
	return "\n\nLeft out, or wrong:\n\n- " + strings.Join(of, "\n- ")
}

// publish prints the parts, and writes them if there is a folder for them.
func (b *bench) publish(parts ...measured.Part) error {
	for _, p := range parts {
		fmt.Printf("%s\n\n%s\n\n", p.Name, p.Text)
	}
	if b.out == "" {
		return nil
	}
	return measured.Write(b.out, parts...)
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
	return measured.Table(head, rows)
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
	return measured.Table(head, rows)
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
	return measured.Table([]string{"round trips per request", peers[0].name, peers[1].name, peers[2].name}, rows)
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
	return strings.Replace(measured.Table([]string{"files", "system calls per request", "which"}, rows), "---:|---:|", "---:|---|", 1)
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
