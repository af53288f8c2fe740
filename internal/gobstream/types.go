package gobstream

// typeDef is a type that the stream defines. Types may refer to ones that are
// defined later, or never, and to themselves: only walking a value tells.
type typeDef struct {
	id        int32
	kind      byte  // 0 if the definition sets none
	key, elem int32 // 0 if the kind has none
	length    int64 // of an array
	fields    []fieldDef

	start, end    int32 // of its message in the stream
	name, nameEnd int32 // likewise
	root, members int32 // the group that it is in: see group; their number, of the root itself
	seen          int32 // the last that came upon it: see uses, reach
	mark, at      int32 // the last group that is being made, and its place there: see below
}

// fieldDef is a field of a struct. The name belongs to the input.
type fieldDef struct {
	name []byte
	id   int32
}

// types holds the definitions. There are rarely more than a few, and then
// looking through them is faster than an index; but a hostile stream must not
// make each search long.
type types struct {
	defs   []typeDef
	fields []fieldDef // of all structs
	index  map[int32]int
	front  int   // how many definitions come before the value
	size   int   // definitions and fields
	reach  int   // see reach
	stamp  int32 // the last that was given
}

// find returns nil for a type that is not defined. The result stays as it is
// while further types are added.
func (t *types) find(id int32) *typeDef {
	if i := t.at(id); i >= 0 {
		return &t.defs[i]
	}
	return nil
}

// at returns the place of a type among the definitions, or -1.
func (t *types) at(id int32) int {
	if t.index != nil {
		if i, ok := t.index[id]; ok {
			return i
		}
		return -1
	}
	for i := range t.defs {
		if t.defs[i].id == id {
			return i
		}
	}
	return -1
}

// add expects a type that find does not find.
func (t *types) add(d typeDef) {
	t.defs = append(t.defs, d)
	switch {
	case t.index != nil:
		t.index[d.id] = len(t.defs) - 1
	case len(t.defs) > 8:
		t.index = make(map[int32]int, 16)
		for i := range t.defs {
			t.index[t.defs[i].id] = i
		}
	}
}

// is reports whether the type was defined, as a kind of these element types.
func (d *typeDef) is(kind byte, key, elem int32) bool {
	return d != nil && d.kind == kind && d.key == key && d.elem == elem
}

// definition reads the description of a type: a struct of which one field is
// set, for its kind.
func (p *parser) definition(id int32) {
	if id < firstID || p.types.find(id) != nil {
		p.fail("a type is defined twice or has a reserved number")
		return
	}
	d := typeDef{id: id, start: int32(p.start)}
	// The fields of a definition are the kinds, the last of which is this one.
	for f := -1; p.field(&f, kindTextMarshaler); {
		if d.kind != 0 {
			p.fail("a type is of two kinds")
			return
		}
		d.kind = byte(f + 1)
		for g := -1; p.field(&g, fieldsOf[d.kind]); {
			p.typeField(&d, g)
		}
	}
	p.types.size++
	if p.types.size > maxTypes {
		p.fail("too many types")
		return
	}
	d.end = int32(p.pos)
	p.types.add(d)
}

// fieldsOf tells how many fields the description of each kind has. The common
// part is one; an array adds element and length, a map key and element, a struct
// its list of fields.
var fieldsOf = [...]int{
	kindArray:           3,
	kindSlice:           2,
	kindStruct:          2,
	kindMap:             3,
	kindGobEncoder:      1,
	kindBinaryMarshaler: 1,
	kindTextMarshaler:   1,
}

// typeField reads a field of the description of a kind: first what is common to
// all kinds, then the types it is made of.
func (p *parser) typeField(d *typeDef, field int) {
	switch {
	case field == 0:
		// The number is there once more; the one before the definition counts.
		for f := -1; p.field(&f, 2); {
			if f == 0 {
				d.nameEnd = int32(len(p.bytes()))
				d.name, d.nameEnd = int32(p.pos)-d.nameEnd, int32(p.pos)
			} else {
				p.typeID()
			}
		}
	case d.kind == kindStruct:
		p.structFields(d)
	case d.kind == kindArray && field == 2:
		d.length = p.int()
	case d.kind == kindMap && field == 1:
		d.key = p.typeID()
	default:
		d.elem = p.typeID()
	}
}

// structFields reads a list of structs of a name and a type. gob finds the
// fields by name, but the values go by position.
func (p *parser) structFields(d *typeDef) {
	n := p.count(1)
	p.types.size += n
	if p.types.size > maxTypes {
		p.fail("too many types")
		return
	}
	at := len(p.types.fields)
	for range n {
		if p.pos >= p.end {
			p.fail("it ends too early")
			return
		}
		var field fieldDef
		for f := -1; p.field(&f, 2); {
			if f == 0 {
				field.name = p.bytes()
			} else {
				field.id = p.typeID()
			}
		}
		// gob quotes the name in an error that it makes for each type of ours.
		if len(field.name) > maxName {
			p.fail("the name of a field is too long")
		}
		p.types.fields = append(p.types.fields, field)
	}
	d.fields = p.types.fields[at:len(p.types.fields):len(p.types.fields)]
}

// compiles bounds what gob does for the fields that a type of the application lacks: for
// each of them it compiles all lists and maps below, however often it did so before.
func (p *parser) compiles() {
	if p.types.size*p.types.size <= maxReach {
		return
	}
	for i := range p.types.defs {
		p.reaches(&p.types.defs[i])
	}
}

func (p *parser) reaches(d *typeDef) {
	for _, f := range d.fields {
		p.types.stamp++
		p.reach(f.id)
	}
}

// reach counts the types below a field, up to the next structs, which gob keeps.
func (p *parser) reach(id int32) {
	d := p.types.find(id)
	if d == nil || d.kind == kindStruct || d.seen == p.types.stamp || p.err != nil {
		return
	}
	d.seen = p.types.stamp
	if p.types.reach++; p.types.reach > maxReach {
		p.fail("too many types in fields")
	}
	p.reach(d.key)
	p.reach(d.elem)
}

// typeID reads the number of a type, which gob keeps in 32 bits.
func (p *parser) typeID() int32 {
	id := p.int()
	if id != int64(int32(id)) {
		p.fail("a type number is out of range")
	}
	return int32(id)
}
