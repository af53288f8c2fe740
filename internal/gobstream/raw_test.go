package gobstream

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// checkThrough passes a session on, unread, read, and with more values beside, and holds
// each stream against encoding/gob.
func checkThrough(t *testing.T, pairs, more []Pair) {
	t.Helper()
	theirs, err := plainEncode(toMap(pairs))
	if err != nil {
		return
	}
	want, err := plainDecode(theirs)
	require.NoError(t, err)
	ours, err := Encode(pairs)
	require.NoError(t, err)
	for name, b := range map[string][]byte{"ours": ours, "theirs": theirs} {
		opened, err := Open(b)
		require.NoError(t, err)
		through, err := Encode(opened)
		require.NoError(t, err)
		back, err := plainDecode(through)
		require.NoError(t, err, "%s %x -> %x", name, b, through)
		require.True(t, same(want, back), "%s, unread\nwant %#v\ngot  %#v", name, want, back)

		// What is ours goes on byte for byte, but for the order of definitions.
		again, err := Open(through)
		require.NoError(t, err)
		for i := range again {
			if r, ok := again[i].Value.(*Raw); ok {
				require.Equal(t, opened[i].Value.(*Raw).body, r.body)
				require.Equal(t, opened[i].Value.(*Raw).groups, r.groups)
			}
		}

		for i := range opened {
			if r, ok := opened[i].Value.(*Raw); ok {
				_, err := r.Value()
				require.NoError(t, err)
			}
		}
		read, err := Encode(opened)
		require.NoError(t, err)
		back, err = plainDecode(read)
		require.NoError(t, err)
		require.True(t, same(want, back), "%s, read\nwant %#v\ngot  %#v", name, want, back)

		merged := opened
		for i, p := range more {
			merged = append(merged, Pair{fmt.Sprint("more", i), p.Value})
		}
		if _, err := plainEncode(toMap(more)); err != nil || len(toMap(merged)) < len(merged) {
			continue
		}
		b, err := Encode(merged)
		require.NoError(t, err)
		back, err = plainDecode(b)
		require.NoError(t, err, "%x", b)
		require.Len(t, back, len(merged))
		for k, v := range want {
			if isFindable(k) {
				require.True(t, same(v, back[k]), "%x", b)
			}
		}
		got, err := Decode(b)
		require.NoError(t, err)
		require.True(t, same(back, toMap(got)))
	}
}

func FuzzThrough(f *testing.F) {
	for i := range 20 {
		f.Add(randomBytes(3, i))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &source{b}
		checkThrough(t, s.pairs(), s.pairs())
	})
}

func randomBytes(seed uint64, i int) []byte {
	r := rand.New(rand.NewPCG(seed, uint64(i)))
	b := make([]byte, r.IntN(900))
	for j := range b {
		b[j] = byte(r.Uint32())
	}
	return b
}

func TestThrough(t *testing.T) {
	for i := range 500 {
		s := &source{randomBytes(2, i)}
		checkThrough(t, s.pairs(), s.pairs())
	}
}

// The numbers are for good: other servers, and later versions of this library, count on
// them.
func TestNumbersOfTypes(t *testing.T) {
	for name, test := range map[string]struct {
		v    any
		want string
	}{
		"struct":  {profile{Name: "a"}, "0d7f040102ff800001100110000055fe562f0301010770726f66696c6501fe563000010601044e616d65010c00010341676501040001045461677301fe56320001054578747261011000010553696e636501fe5634000105496e6e657201fe56360000000efe5631020102fe563200010c000012fe56330501010454696d6501fe56340000002afe5635030101076164647265737301fe5636000102010443697479010c00010347656f01fe563800000010fe5637010102fe56380001080104000054ff80000106737472696e670c0300016b356769746875622e636f6d2f666c616d65676f2f73657373696f6e2f696e7465726e616c2f676f6273747265616d2e70726f66696c65fe56300a01016105020200000000"},
		"map":     {map[string]int{"a": 1}, "0d7f040102ff800001100110000010fe728f040102fe729000010c0104000028ff80000106737472696e670c0300016b0e6d61705b737472696e675d696e74fe7290050001016102"},
		"pointer": {&address{City: "b"}, "0d7f040102ff80000110011000002afe6bad030101076164647265737301fe6bae000102010443697479010c00010347656f01fe6bb000000010fe6baf010102fe6bb0000108010400002fff80000106737472696e670c0300016b122a676f6273747265616d2e61646472657373fe6bae080101620102000000"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := Encode([]Pair{{"k", test.v}})
			require.NoError(t, err)
			require.Equal(t, test.want, hex.EncodeToString(b))
		})
	}
}

// Types whose numbers clash get others.
func TestNumbersClash(t *testing.T) {
	b, err := Encode([]Pair{{"k", profile{Name: "a"}}})
	require.NoError(t, err)
	pairs, err := Open(b)
	require.NoError(t, err)
	first := pairs[0].Value.(*Raw).groups[0]
	for _, off := range []int32{0, -1, first.types - 1} {
		// Another type is already there.
		id := int64(first.first + off)
		taken, err := Open([]byte(session(typed("[]int64", id, "\x00\x01\x02"), definition(id, kindSlice, "", idInt))))
		require.NoError(t, err)
		for range 3 { // The first encoder is new, the others are not.
			out, err := Encode([]Pair{{"a", taken[0].Value}, {"b", profile{Name: "a"}}, {"c", pairs[0].Value}})
			require.NoError(t, err)
			back, err := plainDecode(out)
			require.NoError(t, err, "%x", out)
			require.Equal(t, map[any]any{"a": []int64{1}, "b": profile{Name: "a"}, "c": profile{Name: "a"}}, back)
		}
	}
}

// Three processes, to which encoding/gob has given other numbers, write one session.
func TestProcessesShareASession(t *testing.T) {
	const child = "GOBSTREAM_STREAM"
	if in := os.Getenv(child); in != "" {
		b, err := hex.DecodeString(strings.TrimPrefix(in, "x"))
		require.NoError(t, err)
		var pairs []Pair
		if len(b) > 0 {
			pairs, err = Open(b)
			require.NoError(t, err)
		}
		n := len(pairs)
		values := []any{profile{Name: "p", Extra: []any{node{V: n}, nil}}, []any{&address{City: "c"}, map[string]int{"a": n}}, newer{V: n, Lost: []any{nil, n}}}
		for i := range n { // Others come first in this process.
			_, err := plainEncode(map[any]any{"k": values[(n+i)%3]})
			require.NoError(t, err)
		}
		for i, v := range values {
			pairs = append(pairs, Pair{fmt.Sprintf("%d%d", n, i), v})
		}
		b, err = Encode(pairs)
		require.NoError(t, err)
		fmt.Printf("stream %x\n", b)
		return
	}
	stream := ""
	for range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestProcessesShareASession$")
		cmd.Env = append(os.Environ(), child+"=x"+stream)
		out, err := cmd.Output()
		require.NoError(t, err, "%s", out)
		_, stream, _ = strings.Cut(string(out), "stream ")
		stream, _, _ = strings.Cut(stream, "\n")
	}
	b, err := hex.DecodeString(stream)
	require.NoError(t, err)
	got, err := plainDecode(b)
	require.NoError(t, err)
	require.Len(t, got, 9)
	require.Equal(t, profile{Name: "p", Extra: []any{node{V: 6}, nil}}, got["60"])
	require.Equal(t, newer{V: 3, Lost: []any{nil, 3}}, got["32"])
	require.Equal(t, 1, bytes.Count(b, []byte("\x07profile")), "a type is defined once")
}

// What a stream makes Open and Encode do is bounded by its length.
func TestHostileTypes(t *testing.T) {
	key := func(i int) string { return typed("string", idString, "\x00"+message(fmt.Sprint("key", i))) }
	many := func(n int, value func(int) string, defs string) []byte {
		body := number(idSession) + "\x00" + string(appendUint(nil, uint64(n)))
		for i := range n {
			body += key(i) + value(i)
		}
		return []byte(definitions[0] + defs + message(body))
	}
	for _, first := range []int64{100, firstGroup + 8} {
		// A type of thousands of fields, used by a thousand values.
		wide := many(1000, func(int) string { return typed(local+"node", first, "\x01\x02\x00") }, structDef(first, "V", slices.Repeat([]int64{idInt}, 3000)...))
		// A chain of types, each of which is used by a value.
		chain := ""
		for i := range int64(3000) {
			chain += definition(first+i, kindSlice, "", min(first+i+1, first+2999))
		}
		deep := many(3000, func(i int) string { return typed("[]int64", first+int64(i), "\x00\x00") }, chain)
		for name, b := range map[string][]byte{"wide": wide, "deep": deep} {
			t.Run(fmt.Sprint(name, first), func(t *testing.T) {
				n := allocated(func() {
					pairs, err := Open(b)
					if err == nil {
						_, err = Encode(pairs)
					}
					if err != nil {
						t.Log(err)
					}
				})
				require.Less(t, n, uint64(16<<20+100*len(b)))
			})
		}
	}
	// Interfaces in each other, within which a long text would move each time.
	_, err := Open([]byte(session(typed(nameList, idList, "\x00\x02"+typed(local+"node", 70, "\x01\x02\x00")+nestedText(9_000)),
		definitions[idList-firstID], structDef(70, "V", idInt))))
	require.NoError(t, err)
}

// nestedText is a long text within many lists.
func nestedText(levels int) string {
	v := typed("string", idString, "\x00"+message(strings.Repeat("x", 1<<20)))
	// The lengths are written from the inside, without copying.
	var heads []string
	for size := len(v); levels > 0; levels-- {
		length := string(appendUint(nil, uint64(size+2)))
		heads = append(heads, message(nameList)+number(idList)+length+"\x00\x01")
		size += len(heads[len(heads)-1])
	}
	var b strings.Builder
	for i := len(heads) - 1; i >= 0; i-- {
		b.WriteString(heads[i])
	}
	return b.String() + v
}
