package gobstream

import "slices"

// rewriter makes a copy of a value, in the course of a walk, that can stand in any stream:
// the types in the headers of interfaces get their numbers in groups, and values come in
// one part, for no type is defined within them. encoding/gob writes neither so.
type rewriter struct {
	in    *groups          // of the stream that the value goes to
	known map[int32]*known // by the number in the stream at hand
	size  int              // of all groups, in types and fields

	// Of the value at hand:
	heads []head
	from  int // the input up to there is in heads
	out   int // the length of the copy so far
	used  []group
	value int // how many there were
}

type known struct {
	group
	value int // the last that used it
}

// head is the header of an interface, with what comes before it.
type head struct {
	from, to int   // in the input
	id       int32 // in the copy
	length   int   // of the value in the copy; until that is known, where it starts
}

func (p *parser) rewriteInto(in *groups) {
	p.rw = &rewriter{in: in, known: make(map[int32]*known)}
	p.other = true
}

// rewrite copies the raw values of a session, whose stream has been walked once.
func (p *parser) rewrite(pairs []Pair) {
	again := parser{b: p.b}
	again.rewriteInto(&groups{})
	again.pairs()
	for i := range pairs {
		again.rewriteRaw(pairs[i].Key)
		again.rewriteRaw(pairs[i].Value)
	}
	p.err = again.err
}

func (p *parser) rewriteRaw(v any) {
	if r, ok := v.(*Raw); ok {
		p.odd = false
		body, used := p.rewritten()
		r.body, r.odd = body, p.odd
		r.groups = append(r.room[:0], used...)
		return
	}
	rw := p.rw
	p.rw = nil
	p.value()
	p.rw = rw
}

// rewritten returns a copy of the value at hand, and the types that it uses.
func (p *parser) rewritten() (body []byte, used []group) {
	w := p.rw
	w.heads, w.from, w.out, w.used = w.heads[:0], p.pos, 0, w.used[:0]
	w.value++
	p.value()
	if p.err != nil {
		return nil, nil
	}
	body = make([]byte, 0, w.out+p.pos-w.from)
	for _, h := range w.heads {
		body = append(body, p.b[h.from:h.to]...)
		body = appendUint(appendInt(body, int64(h.id)), uint64(h.length))
	}
	slices.SortFunc(w.used, byNumber)
	used = slices.CompactFunc(w.used, func(a, b group) bool { return a.first == b.first })
	return append(body, p.b[w.from:p.pos]...), used
}

// open is called before the value of an interface. The input from at on gave its type,
// and maybe defined that.
func (w *rewriter) open(p *parser, at int, id int32) int {
	if id >= firstID {
		id = w.number(p, id)
	}
	w.out += at - w.from + size(uint64(id)<<1)
	w.heads = append(w.heads, head{w.from, at, id, w.out})
	w.from = p.pos
	return len(w.heads) - 1
}

// close is called behind the value. What is left of the input to copy counts as copied.
func (w *rewriter) close(p *parser, i int) {
	h := &w.heads[i]
	h.length = w.out + p.pos - w.from - h.length
	w.out += size(uint64(h.length))
}

// size returns how many bytes a number takes.
func size(x uint64) int {
	var b [9]byte
	return len(appendUint(b[:0], x))
}

func (w *rewriter) number(p *parser, id int32) int32 {
	k := w.known[id]
	if k == nil {
		k = &known{group: p.newGroup(id, w.in)}
		w.known[id] = k
	}
	if k.value != w.value {
		k.value = w.value
		w.used = append(w.used, k.group)
	}
	return k.first
}
