package gobstream

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"testing"
	"time"
)

// sessionOf returns a session of n values as web applications keep them.
func sessionOf(n int) []Pair {
	common := []Pair{
		{"user_id", 4711},
		{"user_name", "Ada Lovelace"},
		{"csrf_token", "0123456789abcdef0123456789abcdef"},
		{"signed_in", true},
		{"last_seen", time.Date(2025, 3, 1, 12, 30, 0, 123456789, time.UTC)},
	}
	pairs := make([]Pair, n)
	for i := range pairs {
		pairs[i] = common[i%len(common)]
		if i >= len(common) {
			pairs[i].Key = fmt.Sprintf("%s_%d", pairs[i].Key, i)
		}
	}
	return pairs
}

func BenchmarkEncode(b *testing.B) {
	for _, n := range []int{1, 5, 30} {
		pairs := sessionOf(n)
		m := toMap(pairs)
		b.Run(fmt.Sprintf("ours/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Encode(pairs); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("gob/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var buf bytes.Buffer
				if err := gob.NewEncoder(&buf).Encode(m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{1, 5, 30} {
		ours, err := Encode(sessionOf(n))
		if err != nil {
			b.Fatal(err)
		}
		var buf bytes.Buffer
		if err := gob.NewEncoder(&buf).Encode(toMap(sessionOf(n))); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("ours/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(ours); err != nil {
					b.Fatal(err)
				}
			}
		})
		// What v1.6.6 stored, read by us.
		b.Run(fmt.Sprintf("ours-from-gob/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(buf.Bytes()); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("gob/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var m map[any]any
				if err := gob.NewDecoder(bytes.NewReader(buf.Bytes())).Decode(&m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A single value that the hand-written coder does not know sends the session to
// encoding/gob; this is what looking at it first costs.
func BenchmarkFallback(b *testing.B) {
	pairs := append(sessionOf(5), Pair{"profile", profile{Name: "Ada", Age: 36}})
	m := toMap(pairs)
	stream, err := Encode(pairs)
	if err != nil {
		b.Fatal(err)
	}
	run := func(name string, f func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("encode/ours", func() error { _, err := Encode(pairs); return err })
	run("encode/gob", func() error { _, err := plainEncode(m); return err })
	run("decode/ours", func() error { _, err := Decode(stream); return err })
	run("decode/gob", func() error { _, err := plainDecode(stream); return err })
}
