package gobstream

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAgreesWithGob(t *testing.T) {
	rounds := 5_000
	if testing.Short() {
		rounds = 1_000
	}
	refused, common := 0, 0
	for i := range rounds {
		r := rand.New(rand.NewPCG(1, uint64(i)))
		b := make([]byte, r.IntN(600))
		for j := range b {
			b[j] = byte(r.Uint32())
		}
		pairs := (&source{b}).pairs()
		_, err := checkPairs(t, pairs)
		if b, _ := encodeCommon(pairs); b != nil {
			common++
		} else if err != nil {
			refused++
		}
	}
	// The generator must not have drifted into one corner.
	require.Greater(t, common, rounds/5, "too few sessions for the hand-written coder")
	require.Greater(t, refused, rounds/50, "too few sessions that gob refuses")
	require.Greater(t, rounds-common-refused, rounds/20, "too few sessions for the fallback")
}

func TestEachType(t *testing.T) {
	n := 7
	values := map[string]any{
		"nil":                  nil,
		"empty string":         "",
		"huge string":          strings.Repeat("x", 3<<20),
		"float32 inexact":      float32(0.1),
		"nil bytes":            []byte(nil),
		"empty bytes":          []byte{},
		"nil strings":          []string(nil),
		"empty strings":        []string{},
		"200 strings":          strings.Split(strings.Repeat("ab,", 200), ","),
		"nil string map":       map[string]string(nil),
		"nil any map":          map[string]any(nil),
		"nil list":             []any(nil),
		"list of nil":          []any{nil, nil},
		"long value":           map[string]any{"a": []any{strings.Repeat("y", 300), []string{"b"}}, "t": time.Unix(1, 2)},
		"zero time":            time.Time{},
		"local time":           time.Unix(1700000000, 5),
		"time with seconds":    time.Unix(0, 0).In(time.FixedZone("", 3601)),
		"time of no zone":      time.Unix(0, 0).In(time.FixedZone("", 40_000*60)),
		"pointer":              &n,
		"nil pointer":          (*int)(nil),
		"nil pointer deep":     []any{(*profile)(nil)},
		"struct":               profile{Name: "a", Extra: []any{address{City: "b"}, nil}},
		"not registered":       stranger{1},
		"not registered deep":  map[string]any{"a": stranger{1}},
		"channel":              make(chan int),
		"function":             func() {},
		"encoder error":        shy{"error"},
		"encoder panic":        shy{"panic"},
		"map of any":           map[any]any{1: "a", "b": nil},
		"named types":          []any{time.March, time.Sunday, time.Second},
		"definitions two deep": []any{[]any{time.Unix(1, 1).UTC(), []string{"a"}, map[string]any{"b": []int{1}}}, []int{2}},
	}
	for name, v := range values {
		t.Run(name, func(t *testing.T) {
			theirErr, ourErr := checkPairs(t, []Pair{{"key", v}})
			if theirErr != nil {
				require.EqualError(t, ourErr, theirErr.Error())
			}
			checkPairs(t, []Pair{{"before", profile{Extra: v}}, {"key", v}, {"after", "x"}})
		})
	}
	t.Run("no pairs", func(t *testing.T) { checkPairs(t, nil) })
	t.Run("nil key", func(t *testing.T) { checkPairs(t, []Pair{{nil, "a"}, {"", "b"}}) })
	t.Run("key of any type", func(t *testing.T) { checkPairs(t, []Pair{{1, "a"}, {int8(1), "b"}, {idType{}, nil}}) })
	t.Run("1000 pairs", func(t *testing.T) { checkPairs(t, sessionOf(1000)) })
}

func TestKeyThatCannotBeInAMap(t *testing.T) {
	_, err := Encode([]Pair{{[]int{1}, "a"}})
	require.ErrorContains(t, err, "unhashable")
}

// A session that is usual must not take the slow way by mistake: every other
// test would still pass.
func TestCommonValuesAvoidGob(t *testing.T) {
	pairs := append(sessionOf(30),
		Pair{"claims", map[string]any{"aud": []any{"a", "b"}, "iat": int64(5), "f": 1.5}},
		Pair{"roles", []string{"admin"}}, Pair{"cart", []int{1, 2}}, Pair{"names", map[string]string{"a": "b"}},
		Pair{"ttl", time.Hour}, Pair{"raw", []byte{1}}, Pair{"nothing", nil}, Pair{"n", uint8(3)}, Pair{"f", float32(2)})
	ours, err := encodeCommon(pairs)
	require.NoError(t, err)
	require.NotNil(t, ours)
	theirs, err := plainEncode(toMap(pairs))
	require.NoError(t, err)
	for name, b := range map[string][]byte{"ours": ours, "theirs": theirs} {
		p := parser{b: b}
		p.session()
		require.NoError(t, p.err, name)
		require.False(t, p.other, name)
	}
}

func TestResultSharesNothingWithInput(t *testing.T) {
	for _, size := range []int{10, 2 * shareLimit} {
		text := strings.Repeat("a", size)
		pairs := []Pair{
			{"s", text}, {"b", []byte(text)}, {"c", []byte("cc")}, {"m", map[string]string{"k": text}},
			{"l", []string{text}}, {"a", []any{text}}, {"n", map[string]any{"k": text}},
		}
		b, err := Encode(pairs)
		require.NoError(t, err)
		got, err := Decode(b)
		require.NoError(t, err)
		for i := range b {
			b[i] = '!'
		}
		for _, p := range got {
			if s, ok := p.Value.([]byte); ok {
				_ = append(s, "!!!!!!!!"...)
			}
		}
		require.True(t, same(toMap(pairs), toMap(got)), "%#v", got)
	}
}

func TestEncodeLeavesNoTraceInTheNext(t *testing.T) {
	big, err := Encode([]Pair{{"a", []string{"x"}}, {"t", time.Unix(0, 0)}, {"s", strings.Repeat("z", 5000)}})
	require.NoError(t, err)
	kept := bytes.Clone(big)
	small, err := Encode([]Pair{{"a", 1}})
	require.NoError(t, err)
	_, err = Encode([]Pair{{"a", []any{1, make(chan int)}}})
	require.Error(t, err)
	again, err := Encode([]Pair{{"a", 1}})
	require.NoError(t, err)
	require.Equal(t, small, again)
	require.Equal(t, kept, big)
}

func TestConcurrentUse(t *testing.T) {
	pairs := append(sessionOf(12), Pair{"m", map[string]any{"a": []any{1, "b"}}})
	mixed := append(sessionOf(3), Pair{"p", profile{Name: "n"}})
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for range cap(errs) {
		wg.Go(func() {
			for range 200 {
				for _, want := range [][]Pair{pairs, mixed} {
					b, err := Encode(want)
					if err != nil {
						errs <- err
						return
					}
					got, err := Decode(b)
					if err != nil || !same(toMap(want), toMap(got)) {
						errs <- fmt.Errorf("got %v, error: %w", got, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}
