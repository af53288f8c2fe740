package gobstream

import "math/bits"

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
// stream only; gob counts them from 64.
const (
	idSession = 64 + iota
	idTime
	idStrings
	idInts
	idList
	idStringMap
	idAnyMap
	numIDs = iota
)

// The order of these is the order of the fields of a type definition.
const (
	kindArray = 1 + iota
	kindSlice
	kindStruct
	kindMap
	kindGobEncoder
	kindBinaryMarshaler
	kindTextMarshaler
)

// The names under which the types go that need a definition.
const (
	nameTime      = "time.Time"
	nameStrings   = "[]string"
	nameInts      = "[]int"
	nameList      = "[]interface {}"
	nameStringMap = "map[string]string"
	nameAnyMap    = "map[string]interface {}"
)

// The definitions are put in front of the value, each a message. (gob puts them
// where it first comes across the type; a Decoder takes both.)
var definitions = [numIDs]string{
	idSession - 64:   definition(idSession, kindMap, "", idInterface, idInterface),
	idTime - 64:      definition(idTime, kindGobEncoder, "Time"),
	idStrings - 64:   definition(idStrings, kindSlice, "", idString),
	idInts - 64:      definition(idInts, kindSlice, "", idInt),
	idList - 64:      definition(idList, kindSlice, "", idInterface),
	idStringMap - 64: definition(idStringMap, kindMap, "", idString, idString),
	idAnyMap - 64:    definition(idAnyMap, kindMap, "", idString, idInterface),
}

// definition encodes the struct with which gob describes a type: the field of
// its kind, in it the common part (name, if it has one, and number), then the
// element types. Each field is preceded by its distance from the last one set,
// and each struct ended by a zero.
func definition(id int64, kind byte, name string, elems ...int64) string {
	b := appendInt(nil, -id)
	b = append(b, kind, 1)
	if name == "" {
		b = append(b, 2)
	} else {
		b = append(b, 1, byte(len(name)))
		b = append(b, name...)
		b = append(b, 1)
	}
	b = append(appendInt(b, id), 0)
	for _, e := range elems {
		b = appendInt(append(b, 1), e)
	}
	b = append(b, 0, 0)
	return string(rune(len(b))) + string(b)
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

// appendInt moves the sign to the lowest bit, complementing the others.
func appendInt(b []byte, x int64) []byte {
	return appendUint(b, uint64(x<<1)^uint64(x>>63))
}
