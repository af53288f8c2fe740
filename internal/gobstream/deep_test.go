package gobstream

import (
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// boxed holds anything, also itself, by an interface.
type boxed struct{ V any }

// looped holds itself by a pointer.
type looped struct {
	Self *looped
	Any  any
}

// deepStreams lead as deep as they are long, each by another way.
func deepStreams(levels int) map[string]string {
	times := func(s string) string { return strings.Repeat(s, levels) }
	const interfaces = "\x01a\x10\x00\x00" // holds an interface: name, type, length, no struct
	self := func(kind byte, elems ...int64) string { return definition(70, kind, "", elems...) }
	list := definitions[idList-firstID]
	anyMap := definitions[idAnyMap-firstID]
	array := message(number(-70), "\x01\x01\x02", number(70), "\x00\x01", number(70), "\x01\x02\x00\x00")
	return map[string]string{
		"interfaces":              session(times(interfaces)),
		"interfaces as a key":     definitions[0] + message(number(idSession), "\x00\x01", times(interfaces)),
		"interfaces in a list":    session(typed(nameList, idList, "\x00\x01")+times(interfaces), list),
		"interfaces in a map":     session(typed(nameAnyMap, idAnyMap, "\x00\x01\x01k")+times(interfaces), anyMap),
		"interfaces in a field":   session(typed(local+"boxed", 70, "\x01")+times(interfaces), structDef(70, "V", idInterface)),
		"interfaces not wanted":   session(typed(local+"boxed", 70, "\x01")+times(interfaces), structDef(70, "Gone", idInterface)),
		"lists":                   session(times(typed(nameList, idList, "\x00\x01")), list),
		"lists behind a struct":   session(typed(local+"boxed", 70, "\x01")+times(typed(nameList, idList, "\x00\x01")), list, structDef(70, "V", idInterface)),
		"maps":                    session(times(typed(nameAnyMap, idAnyMap, "\x00\x01\x01k")), anyMap),
		"keys of maps":            session(times(typed("map[interface {}]interface {}", idSession, "\x00\x01"))),
		"structs by interfaces":   session(times(typed(local+"boxed", 70, "\x01")), structDef(70, "V", idInterface)),
		"structs by pointers":     session(typed(local+"looped", 70, times("\x01")), structDef(70, "Self", 70)),
		"structs not wanted":      session(typed(local+"looped", 70, times("\x01")), structDef(70, "Gone", 70)),
		"slices of themselves":    session(typed("[]interface {}", 70, "\x00"+times("\x01")), self(kindSlice, 70)),
		"slices not wanted":       session(typed(local+"boxed", 71, "\x01"+times("\x01")), self(kindSlice, 70), structDef(71, "Gone", 70)),
		"arrays of themselves":    session(typed(local+"boxed", 71, "\x01"+times("\x01")), array, structDef(71, "Gone", 70)),
		"maps as elements":        session(typed(local+"boxed", 71, "\x01"+times("\x01\x00")), self(kindMap, idInt, 70), structDef(71, "Gone", 70)),
		"maps as keys":            session(typed(local+"boxed", 71, "\x01"+times("\x01")), self(kindMap, 70, idInt), structDef(71, "Gone", 70)),
		"interfaces, all defined": session(typed(local+"boxed", 70, "\x01")+times(interfaces+typed(nameList, idList, "\x00\x01")), list, structDef(70, "V", idInterface)),
	}
}

// deepValues are as deep as Decode takes them, by the way that costs gob most.
func deepValues() map[string]any {
	var lists, boxes any = 1, 1
	loop := &looped{}
	for range maxDepth - 1 {
		lists = []any{lists}
		boxes = boxed{boxes}
		loop = &looped{Self: loop}
	}
	return map[string]any{"lists": lists, "structs by interfaces": boxes, "structs by pointers": *loop}
}

// circles contain themselves.
func circles() map[string]any {
	m := map[string]any{}
	m["self"] = []any{m}
	byAny := map[any]any{}
	byAny[1] = byAny
	loop := &looped{}
	loop.Self = loop
	box := &boxed{}
	box.V = box
	slice := []any{profile{}, nil}
	slice[1] = slice
	return map[string]any{"map": m, "map by any key": byAny, "pointer": loop, "interface": box, "slice": slice, "inside": map[string]any{"a": boxed{box}}}
}

// alone reports false after it has run the test once more in a process of its own, which
// an overflow of the stack ends. That has less stack than programs have, and ends itself
// when it takes more memory than that, or too much time.
func alone(t *testing.T, memory uint64) bool {
	const child = "GOBSTREAM_CHILD"
	if os.Getenv(child) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=3m")
		cmd.Env = append(os.Environ(), child+"=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%.4000s", out)
		require.Contains(t, string(out), "--- PASS: "+t.Name())
		return false
	}
	debug.SetMaxStack(96 << 20)
	go func() {
		for s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}; ; time.Sleep(time.Millisecond) {
			if metrics.Read(s); s[0].Value.Uint64() > memory {
				fmt.Println("it takes too much memory")
				os.Exit(1)
			}
		}
	}()
	return true
}

func TestDepthTakesNoStack(t *testing.T) {
	if !alone(t, 8<<30) { // gob needs much to write what is that deep
		return
	}
	for name, stream := range deepStreams(1_000_000) {
		fmt.Println("decode", name)
		_, err := Decode([]byte(stream))
		require.ErrorContains(t, err, tooDeep, name)
	}
	for name, v := range deepValues() {
		fmt.Println("round trip of", name)
		b, err := Encode([]Pair{{"key", v}})
		require.NoError(t, err, name)
		_, err = Decode(b)
		require.NoError(t, err, name)
	}
	for name, v := range circles() {
		fmt.Println("encode", name)
		_, err := Encode([]Pair{{"key", v}})
		require.ErrorIs(t, err, errTooDeep, name)
	}
}

// A few hundred levels are nothing special, whatever they consist of.
func TestDeepValuesAreKept(t *testing.T) {
	for name, wrap := range map[string]func(any) any{
		"list":    func(v any) any { return []any{v} },
		"map":     func(v any) any { return map[string]any{"a": v} },
		"any map": func(v any) any { return map[any]any{1: v} },
		"struct":  func(v any) any { return boxed{v} },
		"mixed":   func(v any) any { return []any{1, boxed{map[string]any{"x": v}}, profile{Extra: nil}} },
	} {
		t.Run(name, func(t *testing.T) {
			v := any("innermost")
			for range 800 {
				v = wrap(v)
			}
			checkPairs(t, []Pair{{"key", v}})
		})
	}
}

// An interface states the length of its value, which gob believes when it skips
// one. What follows would then be read as something else than was checked.
func TestStatedLengths(t *testing.T) {
	list := definitions[idList-firstID]
	item := func(length string) string { return "\x03int" + number(idInt) + length + "\x00\x02" }
	for name, test := range map[string]struct{ stream, want string }{
		"too short":            {session(item("\x01")), lengths},
		"too long":             {session(item("\x03")+"x") + "x", lengths},
		"nothing":              {session(item("\x00")), lengths},
		"beyond the message":   {session(item("\x7f")), beyond},
		"2^40":                 {session(item(huge)), beyond},
		"in a list":            {session(typed(nameList, idList, "\x00\x01"+item("\x01")), list), lengths},
		"of a list":            {session(message(nameList)+number(idList)+"\x02\x00\x01"+item("\x02"), list), lengths},
		"in a field":           {session(typed(local+"boxed", 70, "\x01"+item("\x01")+"\x00"), structDef(70, "V", idInterface)), lengths},
		"in an unwanted field": {session(typed(local+"boxed", 70, "\x01"+item("\x01")+"\x00"), structDef(70, "Gone", idInterface)), lengths},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode([]byte(test.stream))
			require.ErrorContains(t, err, test.want)
		})
	}
}
