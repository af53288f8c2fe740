package sessionid

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestNewIDSpread checks that every character takes every letter about equally
// often: with 32 letters and 64,000 draws the standard deviation is 44.
func TestNewIDSpread(t *testing.T) {
	const draws, letters, length = 64000, 32, 32
	var count [length]map[byte]int
	for i := range count {
		count[i] = make(map[byte]int)
	}
	for range draws {
		id := New(length)
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
