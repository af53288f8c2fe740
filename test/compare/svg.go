package main

import (
	"bytes"
	"fmt"
	"math"
)

// picture draws what reading and writing cost above the bare route. Each backend has a
// scale of its own, since they lie two orders of magnitude apart.
func picture(stores []*store, f figures) []byte {
	const (
		left, panel, gap = 96, 300, 24 // px
		bar, between     = 14, 18
		top              = 64
	)
	var body bytes.Buffer
	y := top
	for _, st := range stores {
		height := 0
		for col, route := range []string{read, write} {
			c := cell{backend: st.name, route: route, conns: 8}
			longest := 0.0
			for _, p := range peersOf(st.name) {
				if v := f.above(c, p).value; v > longest {
					longest = v
				}
			}
			x := left + col*(panel+gap)
			row := 0
			for i, p := range peers {
				v := f.above(c, p).value
				if math.IsNaN(v) {
					continue
				}
				w := 0.0
				if longest > 0 {
					w = max(1, v/longest*(panel-100))
				}
				by := y + row*(bar+2)
				fmt.Fprintf(&body, `<rect class="p%d" x="%d" y="%d" width="%.0f" height="%d" rx="2"/>`, i, x, by, w, bar)
				fmt.Fprintf(&body, "<text x=\"%.0f\" y=\"%d\">%s <tspan class=\"dim\">%s</tspan></text>\n", float64(x)+w+5, by+bar-3, micro(v), p.name)
				row++
			}
			height = max(height, row*(bar+2))
		}
		fmt.Fprintf(&body, "<text class=\"b\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", left-10, y+bar-3, st.name)
		y += height + between
	}
	var out bytes.Buffer
	width := left + 2*panel + gap
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="title">
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
`, width, y, width, y, 16, left, left+panel+gap)
	out.Write(body.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}
