package gobstream

import (
	"bytes"
	"hash/fnv"
	"slices"
)

// A group is a type in the header of an interface, with all types that it is made of. In
// a stream of ours they are defined in a row, with consecutive numbers from a hash of what
// they are on. So a type has the same numbers, and the same bytes define it, in every
// process; what one has written, another can put into its own stream as it is.
type group struct {
	first, types int32
	defs         []byte // the messages
}

// The numbers of groups take three bytes each. Beyond them are those for which none was
// free.
const (
	firstGroup = 1 << 13
	groupSpan  = 1<<13 - 200
	beyondSpan = 1 << 14
)

// startGroups begins with a value.
func (p *parser) startGroups() {
	p.groups = p.groups[:0]
	p.types.stamp++
}

// uses notes that a type is in the header of an interface.
func (p *parser) uses(id int32) {
	if id < firstID || p.foreign || p.rw != nil {
		return
	}
	if d := p.types.find(id); d != nil && d.seen != p.types.stamp {
		d.seen = p.types.stamp
		g, ok := p.group(id)
		p.groups = append(p.groups, g)
		p.foreign = !ok
	}
}

// group returns the definitions of a type, if they are as rewrite makes them. Each
// definition is looked at once, since no two groups have it.
func (p *parser) group(id int32) (g group, ok bool) {
	if id < firstGroup {
		return g, false
	}
	at := p.types.at(id)
	if at < 0 || at >= p.types.front {
		return g, false
	}
	defs := p.types.defs[at:p.types.front]
	root := &defs[0]
	if root.members == 0 {
		n := int32(1)
		for i := int32(0); i < n; i++ {
			if int(i) == len(defs) {
				return g, false
			}
			d := &defs[i]
			if d.id != id+i || d.root != 0 || i > 0 && d.start != defs[i-1].end {
				return g, false
			}
			d.root = id
			for ref := range d.refs {
				if ref < firstID {
					continue
				}
				if ref < id || ref-id >= maxTypes {
					return g, false
				}
				n = max(n, ref-id+1)
			}
		}
		root.members = n
	}
	return group{id, root.members, p.b[root.start:defs[root.members-1].end]}, true
}

func byNumber(a, b group) int { return int(a.first - b.first) }

// refs yields the types that a type is made of. Those below firstID are built in.
func (d *typeDef) refs(yield func(int32) bool) {
	if !yield(d.key) || !yield(d.elem) {
		return
	}
	for _, f := range d.fields {
		if !yield(f.id) {
			return
		}
	}
}

// groups are those of one stream.
type groups struct {
	list []group
	at   map[int32]int // by the first number; nil until there are some
	next int32         // free, as all above are
	size int           // of the definitions
}

// add reports whether the group has its numbers to itself, or is there already.
func (s *groups) add(g group) bool {
	i, ok := s.at[g.first]
	if s.at == nil {
		i = slices.IndexFunc(s.list, func(other group) bool { return g.first == other.first })
	}
	if ok || s.at == nil && i >= 0 {
		old := s.list[i].defs
		return len(old) == len(g.defs) && (&old[0] == &g.defs[0] || bytes.Equal(old, g.defs))
	}
	for _, other := range s.list {
		if g.first < other.first+other.types && other.first < g.first+g.types {
			return false
		}
	}
	s.list = append(s.list, g)
	if len(s.list) > 8 {
		if s.at == nil {
			s.at = make(map[int32]int)
			for i, g := range s.list {
				s.at[g.first] = i
			}
		}
		s.at[g.first] = len(s.list) - 1
	}
	s.next = max(s.next, g.first+g.types, beyondSpan)
	s.size += len(g.defs)
	return true
}

func (s *groups) addAll(list []group) bool {
	for _, g := range list {
		if !s.add(g) {
			return false
		}
	}
	return true
}

// newGroup defines a type, and what it is made of, under numbers that are free.
func (p *parser) newGroup(id int32, in *groups) group {
	p.types.stamp++
	members := p.below(nil, id, p.types.stamp)
	if p.err != nil {
		return group{}
	}
	h := fnv.New64a()
	_, _ = h.Write(p.define(members, 0))
	g := group{types: int32(len(members))}
	for try := 0; ; try++ {
		if g.first = firstGroup + int32(h.Sum64()%groupSpan); try == 20 {
			g.first = in.next
		}
		if g.defs = p.define(members, g.first); in.add(g) {
			return g
		}
		_, _ = h.Write([]byte{0})
	}
}

// below returns a type and all that it is made of.
func (p *parser) below(list []*typeDef, id, mark int32) []*typeDef {
	d := p.types.find(id)
	if d == nil {
		p.fail("a type is not defined")
	}
	if p.err != nil || d.mark == mark {
		return list
	}
	d.mark, d.at = mark, int32(len(list))
	if p.rw.size += 1 + len(d.fields); p.rw.size > maxTypes {
		p.fail("too many types")
	}
	p.reaches(d)
	list = append(list, d)
	for ref := range d.refs {
		if ref >= firstID {
			list = p.below(list, ref, mark)
		}
	}
	return list
}

// define makes the messages that define the types, with numbers from first on.
func (p *parser) define(list []*typeDef, first int32) (out []byte) {
	number := func(id int32) int64 {
		if id >= firstID {
			id = first + p.types.find(id).at
		}
		return int64(id)
	}
	var room [256]byte
	for _, d := range list {
		name := string(p.b[d.name:d.nameEnd])
		if d.kind == kindMap || d.kind == kindSlice || d.kind == kindArray {
			name = "" // In gob it depends on what the process has met first. Nobody needs it.
		}
		msg := appendCommon(room[:0], int64(first+d.at), d.kind, name)
		switch d.kind {
		case kindMap:
			msg = appendInt(append(msg, 1), number(d.key))
			fallthrough
		case kindSlice, kindArray:
			msg = appendInt(append(msg, 1), number(d.elem))
			if d.length != 0 {
				msg = appendInt(append(msg, 1), d.length)
			}
		case kindStruct:
			if len(d.fields) > 0 {
				msg = appendUint(append(msg, 1), uint64(len(d.fields)))
			}
			for _, f := range d.fields {
				msg = append(appendUint(append(msg, 1), uint64(len(f.name))), f.name...)
				msg = append(appendInt(append(msg, 1), number(f.id)), 0)
			}
		}
		msg = append(msg, 0, 0)
		out = append(appendUint(out, uint64(len(msg))), msg...)
	}
	return out
}
