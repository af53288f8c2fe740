package gobstream

import (
	"errors"
	"reflect"
)

// parser follows the structure of a stream. It takes and refuses what a gob
// Decoder does, except that lengths must be possible and nesting bounded: what
// it is content with, gob may be given.
//
// It reads the way gob reads, from the message at hand, and goes to the next
// one only where gob would. So the two never see different things in the same
// bytes. After a failure every read yields zero, and callers look at err only
// where they would loop or hand out the result.
type parser struct {
	b     []byte
	s     string // a copy of b that strings are cut from, or empty: copy each
	pos   int
	start int // of the message at hand, with its length
	end   int // of the message at hand; never beyond b
	limit int // where the interface at hand states that this part of its value ends, or 0
	depth int // of values that can hold others, around the one at hand
	types types
	err   error

	// Of the value at hand, with a key or as one:
	other  bool    // only encoding/gob can decode it
	again  bool    // but it was begun otherwise, so its groups are not all known
	odd    bool    // it holds something that gob cannot skip
	groups []group // of the types that it uses

	foreign bool                          // values cannot go into another stream as they are
	rw      *rewriter                     // or nil
	into    map[structInto][]reflect.Type // of the fields; nil unless they are asked for: see skip.go
}

// free gives the parser back, with room for the usual few types.
func (p *parser) free() {
	defs, fields, groups := p.types.defs, p.types.fields, p.groups
	*p = parser{}
	if cap(defs) <= 64 && cap(fields) <= 256 && cap(groups) <= 16 {
		clear(defs)
		clear(fields)
		clear(groups)
		p.types.defs, p.types.fields, p.groups = defs[:0], fields[:0], groups[:0]
	}
	parsers.Put(p)
}

// fail notes the first error and leaves nothing to read. The reasons are for
// those who look into a damaged record; they never quote it.
func (p *parser) fail(why string) {
	if p.err == nil {
		p.err = errors.New("not a gob stream of a session: " + why)
	}
	p.pos, p.end = len(p.b), len(p.b)
}

// uint reads a number. Most are below 128: lengths, types, ends of structs.
func (p *parser) uint() uint64 {
	if p.pos < p.end && p.b[p.pos] < 0x80 {
		p.pos++
		return uint64(p.b[p.pos-1])
	}
	return p.longUint()
}

// longUint takes leading zeros for part of the number, like gob.
func (p *parser) longUint() (x uint64) {
	rest := p.b[p.pos:p.end]
	if len(rest) == 0 {
		p.fail("it ends too early")
		return 0
	}
	n := -int(int8(rest[0]))
	if n > 8 || n >= len(rest) {
		p.fail("a number is malformed")
		return 0
	}
	for _, c := range rest[1 : 1+n] {
		x = x<<8 | uint64(c)
	}
	p.pos += 1 + n
	return x
}

// int reads a number whose sign is in the lowest bit.
func (p *parser) int() int64 {
	x := p.uint()
	return int64(x>>1) ^ -int64(x&1)
}

// count reads a number of things of which each takes at least size bytes, and
// does not believe more than there is room for. The things may go on in later
// messages, if interfaces are among them, so all that is left of the stream
// counts as room.
func (p *parser) count(size int) int {
	n := p.uint()
	if n > uint64((len(p.b)-p.pos)/size) {
		p.fail("more elements are claimed than there are bytes")
		return 0
	}
	return int(n)
}

// bytes reads a length and that many bytes. They belong to the input.
func (p *parser) bytes() []byte {
	n := p.uint()
	if n > uint64(p.end-p.pos) {
		p.fail("a length points beyond the end")
		return nil
	}
	p.pos += int(n)
	return p.b[p.pos-int(n) : p.pos]
}

// string cuts from the shared copy, if there is one.
func (p *parser) string() string {
	n := len(p.bytes())
	if p.s != "" {
		return p.s[p.pos-n : p.pos]
	}
	return string(p.b[p.pos-n : p.pos])
}

// field advances to the next field of a struct that has so many of them, and
// reports whether there is one. The end of the message ends a struct, too.
func (p *parser) field(f *int, fields int) bool {
	if p.pos >= p.end {
		return false
	}
	delta := p.uint()
	if delta > uint64(fields-1-*f) {
		p.fail("a field is not in its type")
		return false
	}
	*f += int(delta)
	return delta > 0
}

// typeOfValue reads the number of the type of the value that follows, and the
// definitions before it. A definition ends its message; in an interface it may
// also end part of a message, the rest of which has its own length.
func (p *parser) typeOfValue(inInterface bool) int32 {
	for p.err == nil {
		if p.pos == p.end {
			p.message()
		}
		id := int32(p.int())
		if id >= 0 {
			return id
		}
		p.definition(-id)
		if p.pos < p.end {
			if !inInterface {
				p.fail("something follows a type in its message")
			}
			p.nextPart()
		}
	}
	return 0
}

// nextPart goes on behind a definition that ended a part of the value of an
// interface, with the length of the next part.
func (p *parser) nextPart() {
	if p.limit == 0 { // The value is that of the message.
		p.uint()
		return
	}
	p.endOfPart()
	p.startOfPart()
}

// startOfPart reads the length that an interface states for its value, or for a
// part of it.
func (p *parser) startOfPart() {
	n := p.uint()
	if n > uint64(p.end-p.pos) {
		p.fail("a length points beyond the end")
	}
	p.limit = p.pos + int(n)
}

// endOfPart holds the stated length against what was read.
func (p *parser) endOfPart() {
	if p.pos != p.limit {
		p.fail("an interface states another length than its value has")
	}
}

// message enters the next message, at the end of the last.
func (p *parser) message() {
	p.start, p.end = p.pos, len(p.b)
	n := p.uint()
	if n > uint64(p.end-p.pos) {
		p.fail("a message is longer than the stream")
		return
	}
	p.end = p.pos + int(n)
}
