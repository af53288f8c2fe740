package gobstream

import "math/bits"

// The wire, as far as it matters here; the documentation of encoding/gob has
// the rest. A stream is a row of messages, each preceded by its length: first
// the types that are not built in, then the value. {"k": 1} is
//
//	0d             13 bytes:
//	  7f           definition of type 64, written as -64
//	  04           of the fourth kind, a map
//	  01 02 ff80 00  common part: no name, number 64
//	  01 10        key: type 8, interface
//	  01 10        element: type 8, interface
//	  00 00        end of the map's description, and of the definition
//	18             24 bytes:
//	  ff80 00      a value of type 64 that is not a struct
//	  01           one pair
//	  06 "string" 0c 03 00 01 "k"   name, type 6, 3 bytes: no struct, length 1
//	  03 "int" 04 02 00 02          name, type 2, 2 bytes: no struct, 1
//
// In place of its number, a type may also be defined where a value first has
// it. gob's Encoder does so: it ends the message behind the definition, or the
// part of the message that belongs to the interface around it, and goes on with
// a length again. Encode puts all definitions in front, which Decoders take as
// well, so that they can be made once.

// What gob calls the types it knows without a definition.
const (
	idBool      = 1
	idInt       = 2
	idUint      = 3
	idFloat     = 4
	idBytes     = 5
	idString    = 6
	idComplex   = 7
	idInterface = 8
)

// The numbers that Encode gives to the types it defines. They hold within one
// stream only, so they need not be those that gob would count out. The first
// one that a definition may have is 64.
const (
	firstID   = 64
	idSession = firstID + iota - 1
	idTime
	idStrings
	idInts
	idList
	idStringMap
	idAnyMap
	numIDs = iota - 1
)

// The kinds of defined types, in the order of the fields of a definition.
const (
	kindArray = 1 + iota
	kindSlice
	kindStruct
	kindMap
	kindGobEncoder
	kindBinaryMarshaler
	kindTextMarshaler
)

// The names under which the types of our definitions are registered. An
// interface carries them, so they must be gob's to the letter.
const (
	nameTime      = "time.Time"
	nameStrings   = "[]string"
	nameInts      = "[]int"
	nameList      = "[]interface {}"
	nameStringMap = "map[string]string"
	nameAnyMap    = "map[string]interface {}"
)

var definitions = [numIDs]string{
	idSession - firstID:   definition(idSession, kindMap, "", idInterface, idInterface),
	idTime - firstID:      definition(idTime, kindGobEncoder, "Time"),
	idStrings - firstID:   definition(idStrings, kindSlice, "", idString),
	idInts - firstID:      definition(idInts, kindSlice, "", idInt),
	idList - firstID:      definition(idList, kindSlice, "", idInterface),
	idStringMap - firstID: definition(idStringMap, kindMap, "", idString, idString),
	idAnyMap - firstID:    definition(idAnyMap, kindMap, "", idString, idInterface),
}

// definition makes the message that defines a type: a struct of which the field
// of its kind is set, in it the common part (name, if it has one, and number)
// and the types of keys and elements. In a struct, each field is preceded by
// its distance from the last one that is set, and a zero ends it.
func definition(id int64, kind byte, name string, elems ...int64) string {
	b := appendCommon(nil, id, kind, name)
	for _, e := range elems {
		b = appendInt(append(b, 1), e)
	}
	b = append(b, 0, 0)
	return string(append(appendUint(nil, uint64(len(b))), b...))
}

// appendCommon begins with what all kinds have in common.
func appendCommon(b []byte, id int64, kind byte, name string) []byte {
	b = append(appendInt(b, -id), kind, 1)
	if name == "" {
		b = append(b, 2)
	} else {
		b = append(appendUint(append(b, 1), uint64(len(name))), name...)
		b = append(b, 1)
	}
	return append(appendInt(b, id), 0)
}

// appendUint writes a number below 128 as it is, and others big-endian after
// the negated count of their bytes.
func appendUint(b []byte, x uint64) []byte {
	if x < 0x80 {
		return append(b, byte(x))
	}
	n := (bits.Len64(x) + 7) / 8
	b = append(b, byte(-n))
	for n--; n >= 0; n-- {
		b = append(b, byte(x>>(8*n)))
	}
	return b
}

// appendInt moves the sign to the lowest bit and complements the others of a
// negative number, so that numbers near zero are short.
func appendInt(b []byte, x int64) []byte {
	return appendUint(b, uint64(x<<1)^uint64(x>>63))
}
