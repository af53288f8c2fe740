package driver

import (
	"strings"
	"testing"
)

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
