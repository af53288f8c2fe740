package driver

import (
	"strings"
	"testing"
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
		if got := len(id) >= 16 && ValidID(id); got != want {
			t.Errorf("%q: %v", id, got)
		}
	}
}

// FuzzID checks that nothing but the harmless alphabet gets through.
func FuzzID(f *testing.F) {
	for _, s := range []string{"", "../../etc/passwd", strings.Repeat("a", 32), "ab\x00c", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !ValidID(s) {
			return
		}
		if len(s) < 3 || len(s) > 128 || strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyz") != "" {
			t.Errorf("%q passed", s)
		}
	})
}
