package gobstream

import (
	"bytes"
	"encoding/gob"
	"errors"
	"math"
	"reflect"
	"sync"
)

// encoding/gob compiles a decoder, or an encoder, for each type that it meets first. Those
// that have done so are kept for values of the same types. After an error or a panic one
// is thrown away, since nobody knows its state.

// decoder is one that has read the definitions of types.
type decoder struct {
	in  bytes.Reader
	gob *gob.Decoder
}

const (
	mostDecoders = 256     // kinds of them, by the definitions that they have read
	longestKey   = 2 << 10 // of those definitions, in bytes
)

var decoders = struct {
	sync.RWMutex
	pools map[string]*sync.Pool
}{pools: make(map[string]*sync.Pool)}

// decodersFor returns nil if none are kept for these definitions.
func decodersFor(defs []byte) *sync.Pool {
	decoders.RLock()
	pool := decoders.pools[string(defs)]
	full := len(decoders.pools) >= mostDecoders
	decoders.RUnlock()
	if pool != nil || full || len(defs) > longestKey {
		return pool
	}
	decoders.Lock()
	defer decoders.Unlock()
	if pool = decoders.pools[string(defs)]; pool == nil && len(decoders.pools) < mostDecoders {
		pool = new(sync.Pool)
		decoders.pools[string(defs)] = pool
	}
	return pool
}

// decodeStream decodes a stream of one value that begins with so many bytes of
// definitions.
func decodeStream(b []byte, defs int) (v any, err error) {
	pool := decodersFor(b[:defs])
	var d *decoder
	if pool != nil {
		d, _ = pool.Get().(*decoder)
	}
	if d == nil {
		d = new(decoder)
		d.gob = gob.NewDecoder(&d.in)
		defs = 0
	}
	d.in.Reset(b[defs:])
	if err := d.gob.Decode(&v); err != nil {
		return nil, err
	}
	if d.in.Len() > 0 {
		return nil, errors.New("something follows the value")
	}
	if pool != nil {
		d.in.Reset(nil)
		pool.Put(d)
	}
	return v, nil
}

// closed is a type whose values hold no interfaces, so that there is but one group, and
// its number is in the header alone.
type closed struct {
	once     sync.Once
	encoders sync.Pool
	head     []byte  // name and number
	groups   []group // at most one
}

var closedTypes sync.Map // reflect.Type to *closed

// goEncoder is one that has written the definitions of a type.
type goEncoder struct {
	buf bytes.Buffer
	gob *gob.Encoder
}

// uncommon writes a value that only encoding/gob can encode. It recovers, because a
// session is stored where a panic could no longer become an error page.
func (e *encoder) uncommon(v any) (err error) {
	defer recoverAs(&err)
	t := reflect.TypeOf(v)
	if nests(t) {
		if err := Walk(v, math.MaxInt, errTooDeep, func(reflect.Value) error { return nil }); err != nil {
			return err
		}
		return e.fresh(v, nil)
	}
	known, ok := closedTypes.Load(t)
	if !ok {
		known, _ = closedTypes.LoadOrStore(t, new(closed))
	}
	c := known.(*closed)
	g, ok := c.encoders.Get().(*goEncoder)
	if !ok || !e.groups.addAll(c.groups) {
		return e.fresh(v, c)
	}
	g.buf.Reset()
	if err := g.gob.Encode(&v); err != nil {
		return err
	}
	// Behind the header, the bytes are the same.
	p := parser{b: g.buf.Bytes()}
	p.one()
	p.bytes()
	p.int()
	if p.err != nil {
		return p.err
	}
	e.buf = append(append(e.buf, c.head...), p.b[p.pos:p.end]...)
	c.keep(g)
	return nil
}

// fresh writes a value with a new encoder. c is nil if the type is not closed.
func (e *encoder) fresh(v any, c *closed) error {
	g := new(goEncoder)
	g.gob = gob.NewEncoder(&g.buf)
	if err := g.gob.Encode(&v); err != nil {
		return err
	}
	if err := e.rewrite(g.buf.Bytes()); err != nil || c == nil {
		return err
	}
	c.once.Do(func() {
		// A stream of its own has the usual numbers.
		var alone encoder
		if alone.rewrite(g.buf.Bytes()) == nil {
			p := parser{b: alone.buf, end: len(alone.buf)}
			p.bytes()
			p.int()
			c.head = alone.buf[:p.pos:p.pos]
			c.groups = alone.groups.list
		}
	})
	c.keep(g)
	return nil
}

// keep keeps an encoder for the next value, unless a huge one made it too big.
func (c *closed) keep(g *goEncoder) {
	if g.buf.Cap() <= keepSize && c.head != nil {
		c.encoders.Put(g)
	}
}
