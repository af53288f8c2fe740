package gobstream

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata/golden with encoding/gob; run TestGolden alone")

// Data has the name that the type of the stored map has in v1.6.6, which is in
// its streams.
type Data map[interface{}]interface{}

// golden are sessions of which testdata/golden has the stream that encoding/gob
// wrote, once. Streams of one pair and no defined types have only one form, so
// ours must be the very same bytes.
var golden = []struct {
	name  string
	exact bool
	value any
}{
	{"empty", true, map[any]any{}},
	{"nil", true, map[any]any{"k": nil}},
	{"string", true, map[any]any{"k": "text"}},
	{"bool", true, map[any]any{"k": true}},
	{"int", true, map[any]any{"k": -300}},
	{"int8", true, map[any]any{"k": int8(-128)}},
	{"int16", true, map[any]any{"k": int16(-32768)}},
	{"int32", true, map[any]any{"k": int32(1 << 30)}},
	{"int64", true, map[any]any{"k": int64(-1 << 63)}},
	{"uint", true, map[any]any{"k": uint(127)}},
	{"uint8", true, map[any]any{"k": uint8(128)}},
	{"uint16", true, map[any]any{"k": uint16(65535)}},
	{"uint32", true, map[any]any{"k": uint32(1 << 31)}},
	{"uint64", true, map[any]any{"k": uint64(1<<64 - 1)}},
	{"float32", true, map[any]any{"k": float32(0.1)}},
	{"float64", true, map[any]any{"k": -1e100}},
	{"bytes", true, map[any]any{"k": []byte("\x00bytes")}},
	{"duration", true, map[any]any{"k": 90 * time.Second}},
	{"long", true, map[any]any{"k": string(make([]byte, 300))}},
	{"time", false, map[any]any{"k": time.Date(2024, 2, 29, 1, 2, 3, 4, time.UTC)}},
	{"strings", false, map[any]any{"k": []string{"a", "", "c"}}},
	{"ints", false, map[any]any{"k": []int{1, -1, 1 << 30}}},
	{"stringmap", false, map[any]any{"k": map[string]string{"a": "b", "": "c"}}},
	{"anymap", false, map[any]any{"k": map[string]any{"a": []any{1, nil, []string{"x"}}, "b": time.Unix(9, 0).UTC()}}},
	{"keys", false, map[any]any{"k": 1, 2: "v", nil: nil, idType{3}: true}},
	{"struct", false, map[any]any{"k": profile{Name: "a", Tags: []string{"b"}, Extra: []any{node{V: 3}}}, "p": &address{City: "c"}}},
	{"five", false, toMap(sessionOf(5))},
	{"thirty", false, toMap(sessionOf(30))},
	{"data", false, Data{"k": 1, "flamego::session::flash": "saved"}},
}

func TestGolden(t *testing.T) {
	for _, g := range golden {
		t.Run(g.name, func(t *testing.T) {
			file := filepath.Join("testdata", "golden", g.name+".gob")
			if *update {
				b, err := plainEncode(g.value)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(file, b, 0o644))
			}
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			want, ok := g.value.(map[any]any)
			if !ok {
				want = g.value.(Data)
			}

			pairs, err := Decode(b)
			require.NoError(t, err)
			require.Len(t, pairs, len(want))
			require.True(t, same(want, toMap(pairs)), "want %#v\ngot  %#v", want, toMap(pairs))

			ours, err := Encode(pairs)
			require.NoError(t, err)
			if g.exact {
				require.Equal(t, b, ours)
			}
			var m Data
			back, err := plainDecode(ours)
			require.NoError(t, err)
			require.True(t, same(want, back))
			require.NoError(t, plainDecodeInto(ours, &m), "into a map of the name that v1.6.6 has")
			require.True(t, same(Data(want), m))
		})
	}
}

// The other direction of time: this stream was written by v1.6.6 itself.
func TestStreamOfV166(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "v1.6.6.gob"))
	require.NoError(t, err)
	pairs, err := Decode(b)
	require.NoError(t, err)
	require.Equal(t, map[any]any{
		"user_id":                 int64(42),
		"flamego::session::flash": "saved",
		"roles":                   []string{"admin", "editor"},
		"since":                   time.Date(2024, 2, 29, 1, 2, 3, 0, time.UTC),
		7:                         3.5,
	}, toMap(pairs))
}
