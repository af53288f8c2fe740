package gobstream

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// namedDef defines a struct of fields with these names and types.
func namedDef(id int64, fields ...any) string {
	parts := []string{number(-id), "\x03\x01\x02", number(id), "\x00\x01", string(appendUint(nil, uint64(len(fields)/2)))}
	for i := 0; i < len(fields); i += 2 {
		parts = append(parts, "\x01", message(fields[i].(string)), "\x01", number(int64(fields[i+1].(int))), "\x00")
	}
	return message(append(parts, "\x00\x00")...)
}

// behindNil has a struct with a field that looped lacks: a container of nil and a text.
// gob takes the nil for the start of a value: the byte behind it for the number of a
// type, the next, an s, for a length, and so it comes upon what the text hides.
func behindNil(container, containerDef, key, hidden string) string {
	hidden = key + "\x01a\x00\x00" + hidden // ends the container
	var value string
	for pad := 0; ; {
		value = key + "\x06string" + number(idString) + message("\x00", message(strings.Repeat("x", pad)+hidden))
		more := 2 + 's' - (len(value) - len(hidden))
		if more == 0 {
			break
		}
		pad += more
	}
	return session(typed(local+"looped", 70, "\x01"+container+"\x00"+value+"\x00"),
		namedDef(70, "Gone", 71, "Self", 70, "Gone", 72, "Any", idInterface), containerDef,
		definition(72, kindMap, "", 73, 73), namedDef(73), definition(74, kindMap, "", idString, idInt))
}

// inParts has a struct with a field that looped lacks: an interface whose value comes in
// two parts, for a type is defined in it. gob skips the first, takes the length of the
// second for the way to another field, and its beginning for a text of ten bytes there.
// Another text then leads on to what is hidden.
func inParts(hidden func(self byte) string) string {
	const far = 100
	fields := []any{"Gone", idInterface}
	for range far + 1 {
		fields = append(fields, "Gone", idString)
	}
	text := hidden(far + 3)
	size := string(appendUint(nil, uint64(len(text))))
	rest := strings.Repeat("x", far-4-7-2)
	jump := string(rune(len(rest) + 1 + len(size)))
	first := "\x00\x01\x01y" + definition(75, kindSlice, "", idInt)[1:]
	second := "\x0a" + message("\x00", message("xxxxxxx\x01", jump, rest))
	return session(typed(local+"looped", 70, "\x01\x01x"+number(71)+message(first)+message(second)+"\x01"+size+text+"\x00"),
		namedDef(70, append(fields, "Self", 70)...), definition(71, kindSlice, "", idInterface))
}

// misread are streams that are sound by the types on the wire, but that gob reads
// otherwise, since looped lacks a field.
func misread(levels int) map[string]string {
	list := definition(71, kindSlice, "", idInterface)
	deep := strings.Repeat("\x02", levels)
	endless := "\x02\xf8\x10\x00\x00\x00\x00\x00\x00\x00"
	large := "\x03" + message("map[string]int") + number(74) + "\x06\x00\xfc\x02\x00\x00\x00"
	return map[string]string{
		"deep behind nil":          behindNil("\x02", list, "", "\x01"+deep),
		"endless behind nil":       behindNil("\x02", list, "", endless),
		"large behind nil":         behindNil("\x02", list, "", large),
		"deep behind nil in a map": behindNil("\x02\x01k", definition(71, kindMap, "", idString, idInterface), "\x02sk", "\x01"+deep),
		"deep behind parts":        inParts(func(self byte) string { return "\x01" + strings.Repeat(string(rune(self)), levels) }),
	}
}

// A field that a program lacks must not lead gob to what walk has not seen.
func TestMisreadStreams(t *testing.T) {
	if !alone(t, 512<<20) {
		return
	}
	for name, stream := range misread(3_000_000) {
		fmt.Println("decode", name)
		pairs, err := Decode([]byte(stream))
		if name == "deep behind parts" { // Its parts are put together.
			require.NoError(t, err)
			require.Equal(t, []Pair{{"k", looped{}}}, pairs)
			continue
		}
		require.ErrorContains(t, err, "cannot skip", name)
	}
}

// newer and older are the same type, of two versions of a program.
type (
	newer struct {
		Gone  any
		Lost  []any
		Map   map[string]any
		Inner *newer
		Kept  any
		V     int
	}
	older struct {
		Inner *older
		Kept  any
		V     int
	}
)

// old is what the older version makes of the value.
func (n newer) old() older {
	o := older{Kept: n.Kept, V: n.V}
	if n.Inner != nil {
		inner := n.Inner.old()
		o.Inner = &inner
	}
	return o
}

func init() {
	for _, v := range []any{newer{}, older{}, []newer{}, []older{}, [1]newer{}, [1]older{}, map[string]*newer{}, map[string]*older{}} {
		gob.Register(v)
	}
}

// asOlder is the stream of the value, to the older version.
func asOlder(t *testing.T, v any) (byGob, ours []byte) {
	t.Helper()
	pairs := []Pair{{"before", 1}, {"key", v}}
	byGob, err := plainEncode(toMap(pairs))
	require.NoError(t, err)
	ours, err = Encode(pairs)
	require.NoError(t, err)
	rename := func(b []byte) []byte {
		return bytes.ReplaceAll(b, []byte("gobstream.newer"), []byte("gobstream.older"))
	}
	return rename(byGob), rename(ours)
}

func TestFieldsThatAreGone(t *testing.T) {
	list := []any{nil, "a", []any{nil, 2}}
	o := older{V: 5}
	for name, test := range map[string]struct {
		v    any
		want any // nil if gob cannot read it, either
	}{
		"nothing":             {newer{V: 5}, o},
		"a value":             {newer{V: 5, Gone: "a"}, o},
		"a list":              {newer{V: 5, Lost: []any{1, "b", 2.5}}, o},
		"a map":               {newer{V: 5, Map: map[string]any{"a": 1}}, o},
		"a list with nil":     {newer{V: 5, Lost: list}, nil},
		"a map with nil":      {newer{V: 5, Map: map[string]any{"a": nil}}, nil},
		"skipped by length":   {newer{V: 5, Gone: list}, o},
		"in parts":            {newer{V: 5, Gone: []any{node{V: 1}}}, o}, // gob cannot
		"nil that is kept":    {newer{V: 5, Kept: list}, older{V: 5, Kept: list}},
		"parts that are kept": {newer{V: 5, Kept: []any{node{V: 1}}}, older{V: 5, Kept: []any{node{V: 1}}}},
		"both":                {newer{V: 5, Kept: list, Lost: list}, nil},
		"inside, kept":        {newer{V: 5, Inner: &newer{Kept: list}}, older{V: 5, Inner: &older{Kept: list}}},
		"inside, gone":        {newer{V: 5, Inner: &newer{Lost: list}}, nil},
		"in an interface":     {newer{V: 5, Kept: newer{V: 1, Lost: list}}, nil},
		"many, kept":          {[]newer{{V: 5, Kept: list}}, []older{{V: 5, Kept: list}}},
		"many, gone":          {[]newer{{V: 5, Lost: list}}, nil},
		"array, kept":         {[1]newer{{V: 5, Kept: list}}, [1]older{{V: 5, Kept: list}}},
		"array, gone":         {[1]newer{{V: 5, Lost: list}}, nil},
		"map, kept":           {map[string]*newer{"a": {V: 5, Kept: list}}, map[string]*older{"a": {V: 5, Kept: list}}},
		"map, gone":           {map[string]*newer{"a": {V: 5, Lost: list}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			byGob, ours := asOlder(t, test.v)
			for _, b := range [][]byte{byGob, ours} {
				pairs, err := Decode(b)
				if test.want == nil {
					require.ErrorContains(t, err, "cannot skip")
					got, err := plainDecode(b)
					require.False(t, err == nil && same(got["before"], 1) && got["key"] != nil, "gob reads it: %v", got)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, map[any]any{"before": 1, "key": test.want}, toMap(pairs))
			}
		})
	}
}

// Whatever is in the fields that a program lacks, it reads the others, or nothing.
func FuzzFieldsThatAreGone(f *testing.F) {
	f.Add([]byte("\x03\x01\x02\x03\x0c\x02\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &source{b}
		v := newer{V: s.n(256), Kept: s.value(5), Gone: s.value(3), Lost: []any{s.value(4), s.value(4)}[:s.n(3)], Map: map[string]any{"a": s.value(4)}}
		if s.n(2) == 0 {
			inner := v
			v = newer{V: s.n(256), Inner: &inner}
		}
		b, err := plainEncode(map[any]any{"key": v})
		if err != nil || len(b) > 1<<20 {
			return
		}
		back, err := plainDecode(b)
		require.NoError(t, err)
		want := map[any]any{"before": 1, "key": back["key"].(newer).old()}
		byGob, ours := asOlder(t, v)
		for _, b := range [][]byte{byGob, ours} {
			pairs, err := Decode(b)
			if err == nil {
				require.True(t, same(want, toMap(pairs)), "%#v\n%#v", want, toMap(pairs))
			}
		}
	})
}

// A few bytes define fields and lists that gob would compile for seconds, each list for
// each field.
func TestTypesInFields(t *testing.T) {
	const n = 1000
	defs := make([]string, 0, n+1)
	for i := range int64(n) {
		defs = append(defs, definition(100+i, kindSlice, "", 101+i))
	}
	fields := []any{"V", idInt}
	for range n {
		fields = append(fields, "Gone", 100)
	}
	_, err := Decode([]byte(session(typed(local+"node", 70, "\x00"), append(defs, definition(100+n, kindSlice, "", idInt), namedDef(70, fields...))...)))
	require.ErrorContains(t, err, "too many types")
	_, err = Decode([]byte(session(typed(local+"node", 70, "\x00"), namedDef(70, strings.Repeat("x", maxName+1), idInt))))
	require.ErrorContains(t, err, "name of a field is too long")
}
