package gobstream

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// message puts the length in front.
func message(parts ...string) string {
	body := strings.Join(parts, "")
	return string(appendUint(nil, uint64(len(body)))) + body
}

func number(x int64) string { return string(appendInt(nil, x)) }

// structDef defines a struct whose fields, all of this name, have these types.
func structDef(id int64, field string, types ...int64) string {
	parts := []string{number(-id), "\x03\x01\x02", number(id), "\x00\x01", string(appendUint(nil, uint64(len(types))))}
	for _, t := range types {
		parts = append(parts, "\x01", message(field), "\x01", number(t), "\x00")
	}
	return message(append(parts, "\x00\x00")...)
}

// session is a stream of one pair, with what follows the key as given.
func session(value string, defs ...string) string {
	return definitions[0] + strings.Join(defs, "") +
		message(number(idSession), "\x00\x01\x06string\x0c\x03\x00\x01k", value)
}

// typed is what follows the key for a value of that type.
func typed(name string, id int64, value string) string {
	return message(name) + number(id) + message(value)
}

const (
	// huge is a count of 2^40, or a type's number or length of 2^39.
	huge  = "\xfa\x01\x00\x00\x00\x00\x00"
	local = "github.com/flamego/session/internal/gobstream."

	claims  = "more elements are claimed"
	beyond  = "a length points beyond the end"
	early   = "it ends too early"
	tooDeep = "more than 10000 deep"
	lengths = "another length than its value"
)

// Nothing here may panic, run for long, or take more memory than its length and
// the fixed costs of encoding/gob explain.
func TestHostileStreams(t *testing.T) {
	intMap := definition(70, kindMap, "", idString, idInt)
	var manyTypes []string
	for i := range int64(maxTypes + 1) {
		manyTypes = append(manyTypes, definition(100+i, kindSlice, "", 101+i))
	}
	for name, test := range map[string]struct{ stream, want string }{
		"nothing":             {"", early},
		"no value":            {definitions[0], early},
		"number of 9 bytes":   {definitions[0] + "\xf7123456789", "a number is malformed"},
		"message too long":    {definitions[0] + "\x7f\xff\x80\x00\x00", "a message is longer"},
		"message of 2^40":     {huge, "a message is longer"},
		"pairs of 2^40":       {definitions[0] + message(number(idSession), "\x00", huge), claims},
		"another type":        {intMap + message(number(70), "\x00\x00"), "something other than a session"},
		"not a map":           {message("\x04\x00\x02"), "something other than a session"},
		"no zero before":      {session(typed("int", idInt, "\x01\x02")), "does not start with zero"},
		"name of 2^40":        {session(huge + "x"), beyond},
		"name not registered": {session(typed("nobody", idInt, "\x00\x02")), "name not registered"},
		"key unfit for a map": {definitions[0] + message(number(idSession), "\x00\x01", typed("[]uint8", idBytes, "\x00\x00"), "\x00"), "unhashable"},

		"string of 2^40":       {session(typed("string", idString, "\x00"+huge)), beyond},
		"bytes of 2^40":        {session(typed("[]uint8", idBytes, "\x00"+huge)), beyond},
		"strings of 2^40":      {session(typed(nameStrings, idStrings, "\x00"+huge), definitions[idStrings-firstID]), claims},
		"ints of 2^40":         {session(typed(nameInts, idInts, "\x00"+huge), definitions[idInts-firstID]), claims},
		"string map of 2^40":   {session(typed(nameStringMap, idStringMap, "\x00"+huge), definitions[idStringMap-firstID]), claims},
		"any map of 2^40":      {session(typed(nameAnyMap, idAnyMap, "\x00"+huge), definitions[idAnyMap-firstID]), claims},
		"list of 2^40":         {session(typed(nameList, idList, "\x00"+huge), definitions[idList-firstID]), claims},
		"gob's map of 2^40":    {session(typed("map[string]int", 70, "\x00"+huge), intMap), claims},
		"gob's slice of 2^40":  {session(typed("[]int64", 70, "\x00"+huge), definition(70, kindSlice, "", idInt)), claims},
		"strings cut short":    {session(typed(nameStrings, idStrings, "\x00\x03\x01a"), definitions[idStrings-firstID]) + "rest", early},
		"time cut short":       {session(typed(nameTime, idTime, "\x00\x0f\x01"), definitions[idTime-firstID]), beyond},
		"time of a wrong kind": {session(typed(nameTime, idTime, "\x00\x01?"), definitions[idTime-firstID]), "unsupported version"},

		"wrong type for name": {session(typed("int", idString, "\x00\x01a")), "received remote type string"},
		"int8 of 255":         {session(typed("int8", idInt, "\x00"+number(255))), "out of range"},
		"float32 of 1e308":    {session(typed("float32", idFloat, "\x00\xf8\xff\xff\xff\xff\xff\xff\xef\x7f")), "out of range"},
		"undefined type":      {session(typed("[]int64", 70, "\x00\x00")), "is not defined"},
		"type defined twice":  {definitions[0] + definitions[0] + "\x00", "defined twice"},
		"type -2^31":          {message(number(-1<<31), "\x00"), "reserved number"},
		"type of 2^39":        {message(number(-70), "\x02\x02", huge), "type number is out of range"},
		"type of two kinds":   {message(number(-70), "\x02\x00\x01\x00\x00"), "of two kinds"},
		"type of no kind":     {session(typed("[]int64", 70, "\x00\x00"), message(number(-70), "\x00")), "of no kind"},
		"type with a tail":    {message(number(-70), "\x00\x00"), "something follows a type"},
		"fields of 2^40":      {message(number(-70), "\x03\x02", huge), claims},
		"unknown field":       {session(typed(local+"node", 70, "\x02\x02\x00"), structDef(70, "V", idInt)), "a field is not in its type"},
		"array of 2^39":       {session(typed("[3]int", 70, "\x00\x03"), message(number(-70), "\x01\x02\x04\x01", huge)), claims},
		"array too short":     {session(typed("[3]int", 70, "\x00\x02\x02\x02"), message(number(-70), "\x01\x02\x04\x01\x06\x00\x00")), "of another length"},
		"slice of itself":     {session(typed("[]int64", 70, "\x00\x01\x00"), definition(70, kindSlice, "", 70)), "decoding into local type"},
		"too many types":      {session(typed("[]int64", 70, "\x00\x00"), manyTypes...), "too many types"},
		"too many fields":     {structDef(70, "V", make([]int64, 100)...) + structDef(71, "V", make([]int64, maxTypes-50)...), "too many types"},

		// gob would overflow its stack, which no recover survives.
		"list 100,000 deep":      {session(strings.Repeat(typed(nameList, idList, "\x00\x01"), 100_000)+"\x00", definitions[idList-firstID]), tooDeep},
		"struct 1,000,000 deep":  {session(typed(local+"node", 70, strings.Repeat("\x01", 1_000_000)), structDef(70, "Next", 70)), tooDeep},
		"ignored 1,000,000 deep": {session(typed(local+"node", 70, strings.Repeat("\x01", 1_000_000)), structDef(70, "Gone", 70)), tooDeep},
		// gob would count pairs of nothing for years.
		"empty structs of 2^40":    {session(typed(local+"node", 70, "\x01"+huge), structDef(70, "Gone", 71), definition(71, kindMap, "", 72, 72), structDef(72, "")), claims},
		"structs after the end":    {session(typed(local+"node", 70, "\x01\x03"), structDef(70, "Gone", 71), definition(71, kindMap, "", 72, 72), structDef(72, "")) + "restrest", early},
		"value panics on decoding": {session(typed(local+"shy", 70, "\x00\x04trap"), definition(70, kindGobEncoder, "shy")), "shy: aah"},
	} {
		t.Run(name, func(t *testing.T) {
			b := []byte(test.stream)
			var err error
			begin := time.Now()
			n := allocated(func() { _, err = Decode(b) })
			require.ErrorContains(t, err, test.want)
			require.Less(t, n, uint64(64<<10+64*len(b)), "memory")
			require.Less(t, time.Since(begin), 5*time.Second)
		})
	}
}

// Every stream that was cut off or damaged is read like gob would, or refused.
func TestDamagedStreams(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.gob"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		whole, err := os.ReadFile(file)
		require.NoError(t, err)
		for i := range whole {
			_, err := Decode(whole[:i])
			require.Error(t, err, "%s cut off at %d", file, i)
		}
		for i := range whole {
			for _, x := range []byte{0x01, 0x80, 0xff} {
				b := append([]byte(nil), whole...)
				b[i] ^= x
				checkStream(t, b)
			}
		}
	}
}

func TestTrailingBytesAreIgnored(t *testing.T) {
	b, err := Encode([]Pair{{"a", 1}})
	require.NoError(t, err)
	checkStream(t, append(b, "more"...))
	_, err = Decode(append(b, "more"...))
	require.NoError(t, err)
}

func TestKeyTwiceIsOnePair(t *testing.T) {
	for _, n := range []int{2, 40} {
		pairs := make([]Pair, n)
		for i := range pairs {
			pairs[i] = Pair{"key", i}
		}
		b, err := encodeCommon(pairs)
		require.NoError(t, err)
		got, err := Decode(b)
		require.NoError(t, err)
		require.Equal(t, []Pair{{"key", n - 1}}, got)
	}
}

// What is written can be read, up to the bound; beyond it, Encode refuses. A
// value that contains itself would otherwise end the process.
func TestDepthBound(t *testing.T) {
	nest := func(depth int, inner any) any {
		for i := range depth {
			if i%2 == 0 {
				inner = []any{inner}
			} else {
				inner = map[string]any{"k": inner}
			}
		}
		return inner
	}
	for _, inner := range []any{1, []string{"a"}, time.Unix(0, 0).UTC()} {
		b, err := Encode([]Pair{{"key", nest(maxDepth-1, inner)}})
		require.NoError(t, err)
		got, err := Decode(b)
		require.NoError(t, err)
		require.True(t, same(map[any]any{"key": nest(maxDepth-1, inner)}, toMap(got)))
		_, err = plainDecode(b)
		require.NoError(t, err)

		_, err = Encode([]Pair{{"key", nest(maxDepth, inner)}})
		require.ErrorIs(t, err, errTooDeep)
	}
	// The same where encoding/gob does the work.
	chain := func(depth int) any {
		n := &node{V: 1}
		for range depth - 1 {
			n = &node{Next: n}
		}
		return *n
	}
	b, err := Encode([]Pair{{"key", chain(maxDepth)}})
	require.NoError(t, err)
	_, err = Decode(b)
	require.NoError(t, err)
	_, err = Encode([]Pair{{"key", chain(maxDepth + 1)}})
	require.ErrorIs(t, err, errTooDeep)

	loop := map[string]any{}
	loop["self"] = []any{loop}
	_, err = Encode([]Pair{{"key", loop}})
	require.ErrorIs(t, err, errTooDeep)
}
