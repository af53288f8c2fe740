package gobstream

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
)

// Raw is a value of a session as it is stored, which is decoded when somebody asks. It
// may be used concurrently.
type Raw struct {
	body   []byte // the interface: name, number of the type, length, value
	groups []group
	room   [1]group
	odd    bool                      // see skip.go
	by     func([]byte) (any, error) // decodes the body, nil for gob

	once sync.Once
	val  any
	err  error
	done atomic.Bool // val and err are set
}

// NewRaw returns a value in an encoding other than gob.
func NewRaw(b []byte, decode func([]byte) (any, error)) *Raw { return &Raw{body: b, by: decode} }

// Bytes returns what NewRaw was given.
func (r *Raw) Bytes() []byte { return r.body }

// Value decodes the value once, so that all who ask get the same. It holds no lock but
// that of the value itself.
func (r *Raw) Value() (any, error) {
	r.once.Do(func() {
		if r.val, r.err = r.decode(); r.err != nil && r.by == nil {
			p := parser{b: r.body, end: len(r.body)}
			r.err = fmt.Errorf("a %s: %s (%w)", p.bytes(), remedy(r.err), r.err)
		}
		r.done.Store(true)
	})
	return r.val, r.err
}

// Changed returns the value if somebody has got it, and has changed it in place since.
func (r *Raw) Changed() (val any, changed bool) {
	if !r.done.Load() || r.err != nil {
		return nil, false
	}
	stored, err := r.decode()
	return r.val, err != nil || !reflect.DeepEqual(stored, r.val)
}

// remedy says what to do about a value that cannot be decoded.
func remedy(err error) string {
	if strings.Contains(err.Error(), "name not registered") {
		return "call gob.Register with a value of that type once at start, or gob.RegisterName if it had another name or package"
	}
	return "give the type fields that fit what is stored, or set the key anew"
}

func (r *Raw) decode() (v any, err error) {
	defer recoverAs(&err)
	if r.by != nil {
		return r.by(r.body)
	}
	b, defs := r.stream()
	if r.odd {
		if err := checkSkipped(b); err != nil {
			return nil, err
		}
	}
	return decodeStream(b, defs)
}

// stream returns the value as a stream of its own, and how long the definitions are.
func (r *Raw) stream() (b []byte, defs int) {
	for _, g := range r.groups {
		defs += len(g.defs)
	}
	b = make([]byte, 0, defs+len(r.body)+16)
	for _, g := range r.groups {
		b = append(b, g.defs...)
	}
	b = appendUint(b, uint64(len(r.body)+2))
	return append(append(b, 2*idInterface, 0), r.body...), defs
}

// one begins with a stream of one interface.
func (p *parser) one() {
	if p.typeOfValue(false) != idInterface || p.uint() != 0 {
		p.fail("it holds something other than a value")
	}
}

// raw writes a value as it is stored.
func (e *encoder) raw(r *Raw) error {
	if val, changed := r.Changed(); changed {
		return e.any(val)
	}
	if !e.groups.addAll(r.groups) {
		b, _ := r.stream()
		return e.rewrite(b)
	}
	e.buf = append(e.buf, r.body...)
	return nil
}

// rewrite writes the value of a stream of one interface.
func (e *encoder) rewrite(b []byte) error {
	p := parser{b: b}
	p.rewriteInto(&e.groups)
	p.one()
	body, _ := p.rewritten()
	if p.err != nil {
		return fmt.Errorf("the result could not be read back: %w", p.err)
	}
	e.buf = append(e.buf, body...)
	return nil
}
