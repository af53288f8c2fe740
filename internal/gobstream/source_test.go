package gobstream

import (
	"math"
	"strings"
	"time"
)

// source makes sessions out of bytes, so that the same generator serves random
// tests and the fuzzer. When the bytes are used up it yields zeros.
type source struct{ b []byte }

func (s *source) n(max int) int {
	if len(s.b) == 0 {
		return 0
	}
	c := s.b[0]
	s.b = s.b[1:]
	return int(c) % max
}

func (s *source) uint64() (x uint64) {
	for range s.n(9) {
		x = x<<8 | uint64(s.n(256))
	}
	return x
}

func (s *source) string() string {
	n := s.n(64)
	switch s.n(32) {
	case 31:
		n *= 1000
	case 30:
		return strings.Repeat("é\x00", n)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.n(256))
	}
	return string(b)
}

func (s *source) time() time.Time {
	t := time.Unix(int64(s.uint64()>>28), int64(s.n(256)))
	switch s.n(6) {
	case 0:
		return time.Time{}
	case 1:
		return t
	case 2:
		return t.In(time.FixedZone("odd", 3600*5+s.n(100)))
	case 3: // more minutes than its binary form has room for
		return t.In(time.FixedZone("far", 40_000*60))
	}
	return t.UTC()
}

func (s *source) float() float64 {
	switch s.n(8) {
	case 0:
		return math.NaN()
	case 1:
		return math.Inf(1)
	case 2:
		return math.Copysign(0, -1)
	case 3:
		return float64(s.n(100))
	}
	return math.Float64frombits(s.uint64())
}

// pairs returns a session whose keys differ; one in eight has keys that are not
// strings.
func (s *source) pairs() []Pair {
	mixed := s.n(8) == 7
	seen := map[any]bool{}
	var pairs []Pair
	for range s.n(48) {
		var key any = s.string()
		if mixed {
			key = []any{key, nil, s.n(9), s.n(2) == 1, idType{1}, s.float()}[s.n(6)]
		}
		if !seen[key] {
			seen[key] = true
			pairs = append(pairs, Pair{key, s.value(0)})
		}
	}
	return pairs
}

func (s *source) value(depth int) any {
	x := s.uint64()
	switch s.n(24) {
	case 0:
		return nil
	case 1:
		return x%2 == 1
	case 2:
		return int(x)
	case 3:
		return []any{int8(x), int16(x), int32(x), int64(x)}[s.n(4)]
	case 4:
		return []any{uint(x), uint8(x), uint16(x), uint32(x), x}[s.n(5)]
	case 5:
		return []any{s.float(), float32(s.float())}[s.n(2)]
	case 6:
		return []any{[]byte(nil), []byte{}, []byte(s.string())}[s.n(3)]
	case 7:
		return s.time()
	case 8:
		return time.Duration(x)
	case 9:
		v := []string{}
		for range s.n(100) {
			v = append(v, s.string())
		}
		return v
	case 10:
		return []any{[]int(nil), []int{int(x), -int(x), 0}, []int64{int64(x)}}[s.n(3)]
	case 11:
		v := map[string]string{}
		for range s.n(20) {
			v[s.string()] = s.string()
		}
		return v
	case 12, 13:
		var v []any
		for range s.n(4) * min(1, 6-depth) {
			v = append(v, s.value(depth+1))
		}
		return v
	case 14, 15:
		v := map[string]any{}
		for range s.n(4) * min(1, 6-depth) {
			v[s.string()] = s.value(depth + 1)
		}
		return v
	case 16:
		return s.rare(x, depth)
	}
	return s.string()
}

// rare returns what only encoding/gob can handle, or not even that.
func (s *source) rare(x uint64, depth int) any {
	p := profile{Name: s.string(), Age: int(x), Tags: []string{"a"}, Inner: address{Geo: [2]float64{1, 2}}}
	if depth < 6 {
		p.Extra = s.value(depth + 1)
	}
	n := int(x)
	return []any{
		p, &p, &p.Inner, &n, node{Next: &node{V: 1}}, idType{byte(x)}, shy{"error"}, shy{"calm"}, shy{"panic"},
		stranger{1}, (*int)(nil), (*profile)(nil), make(chan int), func() {}, struct{}{}, time.March,
		complex(1, float64(x)), complex64(2), uintptr(x), []float64{1, math.NaN()}, []bool{true},
		map[string]int{"a": n}, map[any]any{n: "b", "c": p}, [][]string{{"a"}, nil}, []map[string]any{{"b": p}},
		map[string]time.Time{"a": s.time()}, []*int{&n}, []*int{nil}, [3]int{1}, map[string]struct{}{"a": {}},
	}[s.n(30)]
}
