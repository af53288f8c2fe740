package main

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Text has a contrast of 4.5 to 1 with what is behind it, and the edges of controls one of
// 3 to 1 (WCAG 2.2 AA, 1.4.3 and 1.4.11), in light and dark.
func TestContrast(t *testing.T) {
	sheet, err := static.ReadFile("static/style.css")
	require.NoError(t, err)
	light, dark, ok := strings.Cut(string(sheet), "@media (prefers-color-scheme: dark)")
	require.True(t, ok)
	for scheme, text := range map[string]string{"light": light, "dark": dark} {
		colors := make(map[string]float64)
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(text, -1) {
			colors[m[1]] = luminance(t, m[2])
		}
		for pair, least := range map[string]float64{
			"text page": 4.5, "text card": 4.5, "soft page": 4.5, "soft card": 4.5, "text tint": 4.5,
			"accent page": 4.5, "accent card": 4.5, "accent tint": 4.5, "on-accent accent": 4.5,
			"text good": 4.5, "text info": 4.5, "text bad": 4.5, "good-line good": 4.5, "bad-line card": 4.5, "bad-line bad": 4.5,
			"bad-line page": 4.5, "edge card": 3, "edge page": 3, "good-line page": 3,
		} {
			one, other, _ := strings.Cut(pair, " ")
			require.Contains(t, colors, one, scheme)
			require.Contains(t, colors, other, scheme)
			lighter, darker := max(colors[one], colors[other]), min(colors[one], colors[other])
			assert.GreaterOrEqual(t, (lighter+.05)/(darker+.05), least, "%s: %s", scheme, pair)
		}
	}
}

// luminance is the relative one of WCAG 2.2.
func luminance(t *testing.T, hex string) float64 {
	var rgb [3]int
	_, err := fmt.Sscanf(hex, "%02x%02x%02x", &rgb[0], &rgb[1], &rgb[2])
	require.NoError(t, err)
	var sum float64
	for i, weight := range []float64{.2126, .7152, .0722} {
		c := float64(rgb[i]) / 255
		if c <= .04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
