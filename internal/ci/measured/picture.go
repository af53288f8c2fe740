package measured

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// picture draws the lines "read" and "write" of a table of what requests cost above the
// bare route. Each backend has a scale of its own, since they lie two orders of magnitude
// apart.
func picture(table [][]string) string {
	const (
		left, panel, gap = 96, 300, 24 // px
		bar, between     = 14, 18
		top              = 64
	)
	var body bytes.Buffer
	y := top
	for _, backend := range backendsOf(table) {
		height := 0
		for col, route := range []string{"read", "write"} {
			costs := costsOf(table, backend+", "+route)
			longest := 0.0
			for _, c := range costs {
				longest = max(longest, c.µs)
			}
			x := left + col*(panel+gap)
			for row, c := range costs {
				w := 0.0
				if longest > 0 {
					w = max(1, c.µs/longest*(panel-100))
				}
				by := y + row*(bar+2)
				fmt.Fprintf(&body, `<rect class="p%d" x="%d" y="%d" width="%.0f" height="%d" rx="2"/>`, c.column, x, by, w, bar)
				fmt.Fprintf(&body, "<text x=\"%.0f\" y=\"%d\">%s <tspan class=\"dim\">%s</tspan></text>\n", float64(x)+w+5, by+bar-3, c.text, c.library)
			}
			height = max(height, len(costs)*(bar+2))
		}
		label, _, _ := strings.Cut(backend, " ")
		fmt.Fprintf(&body, "<text class=\"b\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", left-10, y+bar-3, label)
		y += height + between
	}
	return fmt.Sprintf(frame, left+2*panel+gap, y, left+2*panel+gap, y, 16, left, left+panel+gap) + body.String() + "</svg>\n"
}

// frame is what comes before the bars.
const frame = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="title">
<title id="title">Server CPU per request above the bare route, in microseconds: reading and writing a session, on each backend, with each library</title>
<style>
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.b { font-weight: 600 }
.dim { fill: #59636e }
.p0 { fill: #0969da } .p1 { fill: #8c959f } .p2 { fill: #bc4c00 } .p3 { fill: #8250df } .p4 { fill: #d4a72c }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.dim { fill: #9198a1 }
.p0 { fill: #4493f8 } .p1 { fill: #6e7681 } .p2 { fill: #f0883e } .p3 { fill: #ab7df8 } .p4 { fill: #bb8009 }
}
</style>
<text class="b" x="%d" y="22">Server CPU per request above the bare route, µs (shorter is cheaper; a scale for each backend)</text>
<text class="b" x="%d" y="48">read</text><text class="b" x="%d" y="48">write</text>
`

// backendsOf are those of the rows, such as "memory, read", in their order.
func backendsOf(table [][]string) (names []string) {
	for _, row := range table[1:] {
		if name, _, _ := strings.Cut(row[0], ", "); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

type cost struct {
	library, text string
	column        int // among those of libraries
	µs            float64
}

// costsOf are those of a row, without the libraries that lack the backend.
func costsOf(table [][]string, name string) (costs []cost) {
	for _, row := range table[1:] {
		if row[0] != name {
			continue
		}
		column := 0
		for i, library := range table[0][1:] {
			if library == "×" {
				continue
			}
			text, _, _ := strings.Cut(row[i+1], " ±")
			if µs, err := strconv.ParseFloat(text, 64); err == nil {
				costs = append(costs, cost{library, text, column, µs})
			}
			column++
		}
	}
	return costs
}
