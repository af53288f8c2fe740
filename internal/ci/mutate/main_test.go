package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLinesAreThere keeps the mutants in step with the code: they run by hand.
func TestLinesAreThere(t *testing.T) {
	for _, m := range mutants {
		b, err := os.ReadFile(filepath.Join("..", "..", "..", m.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(b), m.old); n != 1 {
			t.Errorf("%s: %s has the line %d times: %q", m.rule, m.file, n, m.old)
		}
	}
}
