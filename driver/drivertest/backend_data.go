package drivertest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/flamego/session"
)

func emptyData(c *contract) {
	ctx := c.Context()
	none := []session.Record{{Expiry: hour}, {Data: []byte{}, Expiry: hour}}
	for i, r := range none {
		other := none[1-i]
		id, newID := c.put(r), c.id()
		c.holds(id, r, "after Create without data")
		c.refused(c.a.Replace(ctx, id, record("x"), record("y")), session.ErrConflict, "Replace of data that are not there")
		c.ok(c.a.Touch(ctx, id, other, hour.Add(time.Minute)), "Touch without data")
		c.ok(c.a.Replace(ctx, id, c.load(id), other), "Replace of no data by none")
		c.ok(c.a.Replace(ctx, id, other, record("x")), "Replace of no data")
		c.ok(c.a.Replace(ctx, id, record("x"), r), "Replace by no data")
		c.holds(id, r, "after Replace by no data")
		c.ok(c.a.Move(ctx, id, newID, other, r), "Move without data")
		c.holds(newID, r, "after Move without data")
	}
}

func anyData(c *contract) {
	ctx := c.Context()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	values := []string{string(all), "\x00", "a", "A", "a ", " a", "a\x00", "a\n", "a\r\n", "ab", "é", "\xe9", "e\u0301", "'\"`;--", "null", "0", "00", "\xff\xfe"}
	for i, data := range values {
		id := c.put(record(data))
		c.holds(id, record(data), "after Create")
		for j, other := range values {
			if i == j {
				continue
			}
			c.refused(c.a.Replace(ctx, id, record(other), record("x")), session.ErrConflict, fmt.Sprintf("Replace of %q where there is %q", other, data))
			c.refused(c.a.Touch(ctx, id, record(other), hour.Add(day)), session.ErrConflict, fmt.Sprintf("Touch of %q where there is %q", other, data))
		}
		c.ok(c.a.Replace(ctx, id, record(data), record(values[(i+1)%len(values)])), "Replace")
		c.holds(id, record(values[(i+1)%len(values)]), "after Replace")
	}
}

// largeSize is more than what the usual columns and messages hold by default.
const largeSize = 1 << 20

func largeData(c *contract) {
	ctx := c.Context()
	random := rand.NewChaCha8([32]byte{1})
	large := func() session.Record {
		r := record(strings.Repeat("x", largeSize))
		_, _ = random.Read(r.Data)
		return r
	}
	one, two, newID := large(), large(), c.id()
	id := c.put(one)
	c.holds(id, one, "after Create")
	last := session.Record{Data: bytes.Clone(one.Data), Expiry: hour}
	last.Data[largeSize-1] ^= 1
	c.refused(c.a.Replace(ctx, id, last, two), session.ErrConflict, "Replace where the last byte differs")
	c.refused(c.a.Touch(ctx, id, last, hour.Add(day)), session.ErrConflict, "Touch where the last byte differs")
	c.ok(c.a.Touch(ctx, id, one, hour), "Touch")
	c.ok(c.a.Replace(ctx, id, one, two), "Replace")
	c.holds(id, two, "after Replace")
	c.ok(c.a.Move(ctx, id, newID, two, one), "Move")
	c.holds(newID, one, "after Move")
}

func idsDiffer(c *contract) {
	ctx := c.Context()
	long := strings.Repeat("a1z9", 32)
	ids := []string{"aaa", "aab", "000", "0000", "00e0", "123", "0123", "1e5", "100000", "true", "null", "inf", long[:64], long[:65], long[:127] + "8", long}
	for _, id := range ids {
		c.ok(c.a.Create(ctx, id, record(id)), "Create")
	}
	for _, id := range ids {
		c.holds(id, record(id), "under its ID")
		c.ok(c.a.Replace(ctx, id, record(id), record("new"+id)), "Replace")
	}
	for _, id := range ids {
		c.holds(id, record("new"+id), "under its ID, after Replace")
		c.ok(c.a.Delete(ctx, id), "Delete")
		c.none(id, "after Delete")
	}
	from, to := long, "z"+long[1:]
	c.ok(c.a.Create(ctx, from, record("1")), "Create")
	c.ok(c.a.Move(ctx, from, to, record("1"), record("2")), "Move")
	c.holds(to, record("2"), "after Move")
	c.none(from, "after Move")
}

func buffers(c *contract) {
	ctx := c.Context()
	spoil := func(r session.Record) {
		for i := range r.Data {
			r.Data[i] = '!'
		}
	}
	id, newID := c.id(), c.id()
	given := record("first")
	c.ok(c.a.Create(ctx, id, given), "Create")
	spoil(given)
	for _, b := range []session.Backend{c.a, c.b} {
		loaded, err := b.Load(ctx, id)
		c.ok(err, "Load")
		spoil(loaded)
		c.holds(id, record("first"), "after the caller has changed its bytes")
	}
	old, given := record("first"), record("second")
	c.ok(c.a.Replace(ctx, id, old, given), "Replace")
	spoil(old)
	spoil(given)
	c.holds(id, record("second"), "after the caller has changed what it gave to Replace")

	// What Load returned stays as it is, whatever comes after it.
	loaded := c.load(id)
	other := c.put(record("other!"))
	c.load(other)
	given = record("third!")
	c.ok(c.a.Move(ctx, id, newID, record("second"), given), "Move")
	spoil(given)
	c.holds(newID, record("third!"), "after the caller has changed what it gave to Move")
	if string(loaded.Data) != "second" {
		c.broken("what Load returned has become %q", loaded.Data)
	}
}
