package gobstream

import (
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"
)

// checkStream decodes bytes that may be anything, and holds a success against
// encoding/gob. It asks gob only then, since the bytes may harm it.
func checkStream(t *testing.T, b []byte) {
	t.Helper()
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	pairs, err := Decode(b)
	metrics.Read(sample)
	// The fixed part is encoding/gob compiling a few types.
	require.Less(t, sample[0].Value.Uint64()-before, uint64(1<<20+1024*len(b)), "memory for %x", b)
	if err != nil {
		return
	}
	got := toMap(pairs)
	require.Len(t, got, len(pairs), "a key is there twice: %x", b)
	opened, err := Open(b)
	require.NoError(t, err)
	through, err := Encode(opened)
	require.NoError(t, err)
	want, err := plainDecode(through)
	require.NoError(t, err, "gob refuses %x as %x", b, through)
	for _, p := range opened {
		if _, ok := p.Value.(*Raw); ok && isFindable(p.Key) {
			require.True(t, same(want[p.Key], got[p.Key]), "stream %x as %x\nwant %#v\ngot  %#v", b, through, want, got)
		}
	}
	// gob misreads types that are defined in values which it skips.
	if p := (parser{b: b}); p.pairs() >= 0 {
		defs := len(p.types.defs)
		p = parser{b: b}
		if p.session(); len(p.types.defs) == defs {
			want, err := plainDecode(b)
			require.NoError(t, err, "gob refuses %x", b)
			require.True(t, same(want, got), "stream %x\nwant %#v\ngot  %#v", b, want, got)
		}
	}
	checkPairs(t, pairs)
}

func FuzzDecode(f *testing.F) {
	for _, stream := range deepStreams(50) {
		f.Add([]byte(stream))
	}
	for _, stream := range misread(50) {
		f.Add([]byte(stream))
	}
	// A type defined within the value of an interface, which then has two parts.
	b, err := plainEncode(map[any]any{"key": []any{profile{Extra: []any{nil, boxed{1}}}, address{}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) { checkStream(t, b) })
}

func FuzzRoundTrip(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) { checkPairs(t, (&source{b}).pairs()) })
}
