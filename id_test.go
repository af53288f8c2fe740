package session

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		strings.Repeat("a", 16):         true,
		strings.Repeat("z", 32):         true,
		"0123456789abcdefghijklmnopqrs": true,
		strings.Repeat("a", 128):        true,
		"":                              false,
		strings.Repeat("a", 15):         false,
		strings.Repeat("a", 129):        false,
		strings.Repeat("A", 32):         false,
		strings.Repeat("a", 31) + "/":   false,
		strings.Repeat("a", 31) + "{":   false,
		strings.Repeat("a", 31) + "`":   false,
		strings.Repeat("a", 31) + ":":   false,
		strings.Repeat("a", 30) + "é":   false,
		"../" + strings.Repeat("a", 29): false,
	} {
		assert.Equal(t, want, validID(id, legacyIDLength), "%q", id)
	}
}

// TestNewIDSpread checks that every character takes every letter about equally
// often: with 32 letters and 64,000 draws the standard deviation is 44.
func TestNewIDSpread(t *testing.T) {
	const draws, letters = 64000, 32
	var count [defaultIDLength]map[byte]int
	for i := range count {
		count[i] = make(map[byte]int)
	}
	for range draws {
		id := newID(defaultIDLength)
		for i := range len(id) {
			count[i][id[i]]++
		}
	}
	for i, c := range count {
		assert.Len(t, c, letters, "position %d", i)
		for letter, n := range c {
			assert.InDelta(t, draws/letters, n, 350, "position %d, letter %c", i, letter)
		}
	}
}
