// Package measured keeps the figures that the docs show. The commands that measure write
// them into docs/measured.txt, and from there into the pages, between comments that name
// the part:
//
//	<!-- measured: sweep -->
//	<!-- /measured -->
package measured

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	file    = "measured.txt"
	heading = "== "
	begin   = "<!-- measured: "
	end     = "<!-- /measured -->"
)

var block = regexp.MustCompile(`(?s)` + begin + `([a-z-]+) -->\n.*?` + end)

// Part is what one measurement has written: Markdown, of which one table.
type Part struct{ Name, Text string }

// Read returns the parts of measured.txt in the folder of the docs.
func Read(docs string) ([]Part, error) {
	text, err := os.ReadFile(filepath.Join(docs, file))
	if err != nil {
		return nil, err
	}
	var parts []Part
	for _, section := range strings.Split("\n"+string(text), "\n"+heading)[1:] {
		name, body, _ := strings.Cut(section, "\n")
		parts = append(parts, Part{name, strings.TrimSpace(body)})
	}
	return parts, nil
}

// Write puts parts in the place of those of the same names, in measured.txt and in the
// pages. It must not run twice at a time.
func Write(docs string, parts ...Part) error {
	all, err := Read(docs)
	if err != nil {
		return err
	}
next:
	for _, p := range parts {
		for i := range all {
			if all[i].Name == p.Name {
				all[i] = p
				continue next
			}
		}
		all = append(all, p)
	}
	var s strings.Builder
	s.WriteString("Written by make scale, compare, curves and count. The pages show it: see make numbers.\n")
	for _, p := range all {
		fmt.Fprintf(&s, "\n%s%s\n\n%s\n", heading, p.Name, strings.TrimSpace(p.Text))
	}
	if err := os.WriteFile(filepath.Join(docs, file), []byte(s.String()), 0o644); err != nil {
		return err
	}
	return Fill(docs)
}

// Fill writes the parts into the pages.
func Fill(docs string) error {
	pages, err := Pages(docs)
	if err != nil {
		return err
	}
	for path, text := range pages {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Pages returns the files that show parts, by their paths, as they have to be. A part that
// no page shows is an error, as is one that a page wants and that there is not.
func Pages(docs string) (map[string]string, error) {
	parts, err := Read(docs)
	if err != nil {
		return nil, err
	}
	texts, shown := make(map[string]string), make(map[string]bool)
	for _, p := range parts {
		texts[p.Name] = p.Text
	}
	var paths []string
	for _, pattern := range []string{"*.md", "*/*.md"} {
		found, err := filepath.Glob(filepath.Join(docs, pattern))
		if err != nil {
			return nil, err
		}
		paths = append(paths, found...)
	}
	pages := make(map[string]string)
	for _, path := range paths {
		old, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		blocks := block.FindAllSubmatch(old, -1)
		if n := strings.Count(string(old), begin); n != len(blocks) || n != strings.Count(string(old), end) {
			return nil, fmt.Errorf("%s: a part does not end with %q", path, end)
		}
		for _, b := range blocks {
			if _, ok := texts[string(b[1])]; !ok {
				return nil, fmt.Errorf("%s: %s has no part %q", path, file, b[1])
			}
			shown[string(b[1])] = true
		}
		if len(blocks) > 0 {
			pages[path] = block.ReplaceAllStringFunc(string(old), func(b string) string {
				name := block.FindStringSubmatch(b)[1]
				return begin + name + " -->\n\n" + texts[name] + "\n\n" + end
			})
		}
	}
	for _, p := range parts {
		if !shown[p.Name] {
			return nil, fmt.Errorf("%s: no page shows the part %q", file, p.Name)
		}
	}
	if cpu, ok := texts["cpu"]; ok {
		pages[filepath.Join(docs, "performance.svg")] = picture(Cells(cpu))
	}
	return pages, nil
}

// Table is one of Markdown. Its cells are aligned to the right but for the first.
func Table(head []string, rows [][]string) string {
	var s strings.Builder
	line := func(cells []string) { s.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(head)
	s.WriteString("|---|" + strings.Repeat("---:|", len(head)-1) + "\n")
	for _, r := range rows {
		line(r)
	}
	return strings.TrimSpace(s.String())
}

// Cells are those of a table: the head, and the rows.
func Cells(text string) (rows [][]string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") {
			continue
		}
		var row []string
		for _, cell := range strings.Split(strings.Trim(line, "|"), "|") {
			row = append(row, strings.TrimSpace(cell))
		}
		rows = append(rows, row)
	}
	return rows
}
