package drivertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/flamego/session"
)

const day = 24 * time.Hour

func missing(c *contract) {
	ctx := c.Context()
	for _, old := range []session.Record{{}, record("x")} {
		id, newID := c.id(), c.id()
		c.none(id, "before anything was stored")
		c.refused(c.a.Replace(ctx, id, old, record("y")), session.ErrConflict, "Replace of nothing")
		c.refused(c.a.Touch(ctx, id, old, hour), session.ErrConflict, "Touch of nothing")
		c.refused(c.a.Move(ctx, id, newID, old, record("y")), session.ErrConflict, "Move of nothing")
		c.ok(c.a.Delete(ctx, id), "Delete of nothing")
		c.none(id, "after calls on nothing")
		c.none(newID, "after a move of nothing")
	}
}

func create(c *contract) {
	ctx := c.Context()
	first := record("first")
	id := c.put(first)
	c.holds(id, first, "after Create")
	for _, b := range []session.Backend{c.a, c.b} {
		c.refused(b.Create(ctx, id, record("second", day)), session.ErrExists, "Create of an ID that is taken")
		c.refused(b.Create(ctx, id, first), session.ErrExists, "Create of the same record again")
		c.holds(id, first, "after a Create that failed")
	}
	c.ok(c.a.Delete(ctx, id), "Delete")
	c.ok(c.b.Create(ctx, id, record("third")), "Create after Delete")
	c.holds(id, record("third"), "after Delete and Create")
}

func replace(c *contract) {
	ctx := c.Context()
	id := c.put(record("1"))
	c.ok(c.a.Replace(ctx, id, record("1"), record("2", time.Minute)), "Replace")
	c.holds(id, record("2", time.Minute), "after Replace")
	c.refused(c.b.Replace(ctx, id, record("1"), record("3", day)), session.ErrConflict, "Replace of what has changed")
	c.refused(c.b.Replace(ctx, id, session.Record{}, record("3", day)), session.ErrConflict, "Replace of an empty record that is not empty")
	c.holds(id, record("2", time.Minute), "after a Replace that failed")
	for range 2 {
		c.ok(c.b.Replace(ctx, id, record("2", day), record("2", -time.Minute)), "Replace by the same data: the expiry of old says nothing")
		c.holds(id, record("2", -time.Minute), "after Replace by the same data")
	}
}

func touch(c *contract) {
	ctx := c.Context()
	id := c.put(record("1"))
	for _, after := range []time.Duration{time.Minute, -time.Minute, -time.Minute, 0} {
		c.ok(c.a.Touch(ctx, id, record("1"), hour.Add(after)), "Touch")
		c.holds(id, record("1", after), "after Touch")
	}
	c.ok(c.b.Replace(ctx, id, record("1"), record("2", time.Minute)), "Replace after Touch, with the data that were there")
	c.refused(c.a.Touch(ctx, id, record("1"), hour.Add(day)), session.ErrConflict, "Touch of what has changed")
	c.refused(c.a.Touch(ctx, id, session.Record{}, hour.Add(day)), session.ErrConflict, "Touch of an empty record that is not empty")
	c.holds(id, record("2", time.Minute), "after a Touch that failed")
}

func move(c *contract) {
	ctx := c.Context()
	id, taken, newID := c.put(record("1")), c.put(record("other", time.Minute)), c.id()
	c.refused(c.a.Move(ctx, id, taken, record("1"), record("2", day)), session.ErrExists, "Move to an ID that is taken")
	c.holds(taken, record("other", time.Minute), "after a Move to an ID that is taken, its record")
	c.holds(id, record("1"), "after a Move to an ID that is taken")
	for _, old := range []session.Record{record("0"), {}} {
		c.refused(c.b.Move(ctx, id, newID, old, record("2", day)), session.ErrConflict, "Move of what has changed")
		c.none(newID, "a Move that failed has to leave nothing under the new ID")
		c.holds(id, record("1"), "after a Move that failed")
	}
	c.ok(c.a.Move(ctx, id, newID, record("1"), record("2", time.Minute)), "Move")
	c.none(id, "the old ID after Move")
	c.holds(newID, record("2", time.Minute), "after Move")
	c.refused(c.b.Move(ctx, id, c.id(), record("1"), record("3")), session.ErrConflict, "Move from the old ID")
	c.refused(c.b.Replace(ctx, id, record("1"), record("3")), session.ErrConflict, "Replace under the old ID")
	c.refused(c.b.Touch(ctx, id, record("1"), hour), session.ErrConflict, "Touch under the old ID")
	c.none(id, "the old ID after later calls")
	c.ok(c.b.Move(ctx, newID, id, record("2"), record("2")), "Move with the same data, to an ID that was used before")
	c.holds(id, record("2"), "after the second Move")
	c.none(newID, "after the second Move")
}

func remove(c *contract) {
	ctx := c.Context()
	id, other, newID := c.put(record("1")), c.put(record("1")), c.id()
	for range 2 {
		c.ok(c.a.Delete(ctx, id), "Delete")
		c.none(id, "after Delete")
	}
	c.refused(c.b.Replace(ctx, id, record("1"), record("2")), session.ErrConflict, "Replace after Delete")
	c.refused(c.b.Touch(ctx, id, record("1"), hour), session.ErrConflict, "Touch after Delete")
	c.refused(c.b.Move(ctx, id, newID, record("1"), record("2")), session.ErrConflict, "Move after Delete")
	c.none(id, "after Delete and late calls")
	c.none(newID, "after a Move of what was deleted")
	c.holds(other, record("1"), "after Delete of another one")
}

func stale(c *contract) {
	ctx := c.Context()
	id, newID := c.put(record("1")), c.id()
	c.ok(c.a.Touch(ctx, id, c.load(id), hour.Add(time.Minute)), "Touch of what was loaded")
	c.ok(c.a.Replace(ctx, id, c.load(id), record("2")), "Replace of what was loaded")
	old := c.load(id)
	c.ok(c.a.Replace(ctx, id, record("2"), record("3", time.Minute)), "Replace with the data that were stored last")
	c.refused(c.b.Replace(ctx, id, old, record("4")), session.ErrConflict, "Replace of what has changed since Load")
	c.refused(c.b.Touch(ctx, id, old, hour.Add(day)), session.ErrConflict, "Touch of what has changed since Load")
	c.refused(c.b.Move(ctx, id, newID, old, record("4")), session.ErrConflict, "Move of what has changed since Load")
	c.none(newID, "after a Move of what has changed since Load")
	c.holds(id, record("3", time.Minute), "after calls with a version that is gone")
	c.ok(c.a.Touch(ctx, id, record("3"), hour), "Touch with the data that were stored last")
	c.ok(c.b.Move(ctx, id, newID, c.load(id), record("5")), "Move of what was loaded")
	c.holds(newID, record("5"), "after Move of what was loaded")
	old = c.load(newID)
	c.ok(c.a.Delete(ctx, newID), "Delete")
	c.refused(c.b.Replace(ctx, newID, old, record("6")), session.ErrConflict, "Replace of what was deleted since Load")
	c.refused(c.b.Touch(ctx, newID, old, hour), session.ErrConflict, "Touch of what was deleted since Load")
	c.none(newID, "after Delete")
}

func instances(c *contract) {
	ctx := c.Context()
	one, other := c.a, c.b
	id := c.put(record("0"))
	for i := range 50 {
		was, next := fmt.Sprint(i), fmt.Sprint(i+1)
		r, err := other.Load(ctx, id)
		if err != nil || string(r.Data) != was {
			c.broken("one instance has stored %q, the other one loads %q, %v", was, r.Data, err)
			return
		}
		c.ok(other.Replace(ctx, id, r, record(next)), "Replace on the other instance")
		one, other = other, one
	}
	newID := c.id()
	c.ok(one.Move(ctx, id, newID, record("50"), record("moved")), "Move")
	if _, err := other.Load(ctx, id); !errors.Is(err, session.ErrNotFound) {
		c.broken("a record was moved by one instance, the other one finds the old ID: %v", err)
	}
	c.ok(one.Delete(ctx, newID), "Delete")
	if _, err := other.Load(ctx, newID); !errors.Is(err, session.ErrNotFound) {
		c.broken("a record was deleted by one instance, the other one finds it: %v", err)
	}
}

func expiryKept(c *contract) {
	ctx := c.Context()
	for _, fraction := range []time.Duration{0, time.Millisecond, 499 * time.Millisecond, 987654321, 999999999} {
		at := func(d time.Duration) session.Record {
			return session.Record{Data: []byte("x"), Expiry: hour.Truncate(time.Second).Add(d + fraction)}
		}
		id, newID := c.id(), c.id()
		c.ok(c.a.Create(ctx, id, at(0)), "Create")
		c.holds(id, at(0), "after Create")
		c.ok(c.a.Replace(ctx, id, at(0), at(time.Minute)), "Replace")
		c.holds(id, at(time.Minute), "after Replace")
		c.ok(c.a.Touch(ctx, id, at(0), at(2*time.Minute).Expiry), "Touch")
		c.holds(id, at(2*time.Minute), "after Touch")
		c.ok(c.a.Move(ctx, id, newID, at(0), at(3*time.Minute)), "Move")
		c.holds(newID, at(3*time.Minute), "after Move")
	}
	// The zone is a matter of writing, not of the moment.
	id, local := c.id(), record("x")
	local.Expiry = local.Expiry.In(time.FixedZone("", -11*3600))
	c.ok(c.a.Create(ctx, id, local), "Create with another zone")
	c.holds(id, local, "with another zone")
}

func farExpiry(c *contract) {
	far := record("x", 36500*day)
	id := c.put(far)
	c.holds(id, far, "after Create")
	c.ok(c.a.Touch(c.Context(), id, far, hour), "Touch")
	c.holds(id, record("x"), "after Touch")
	c.ok(c.a.Touch(c.Context(), id, far, far.Expiry), "Touch")
	c.holds(id, far, "after Touch")
}

func expired(c *contract) {
	ctx := c.Context()
	at := time.Now().Add(50 * time.Millisecond)
	id := c.put(session.Record{Data: []byte("old"), Expiry: at})
	time.Sleep(time.Until(at) + 5*time.Millisecond)
	switch r, err := c.b.Load(ctx, id); {
	case err == nil && r.Expiry.Sub(at) > time.Since(c.begin):
		c.broken("Load of an expired record: it expires %v later than it was to", r.Expiry.Sub(at))
	case err != nil && !errors.Is(err, session.ErrNotFound):
		c.broken("Load of an expired record: %v", err)
	}
	want := session.Record{Data: []byte("new"), Expiry: hour}
	if !c.done(c.a.Create(ctx, id, want), "Create on an expired record", session.ErrExists) {
		c.ok(c.a.Delete(ctx, id), "Delete of an expired record")
		c.ok(c.a.Create(ctx, id, want), "Create after Delete of an expired record")
	}
	c.holds(id, want, "after Create")
}

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

func endedContext(c *contract) {
	id, newID := c.put(record("1")), c.id()
	old := session.Record{Data: []byte("old"), Expiry: sweepTime.Add(-time.Second)}
	oldID := c.put(old)
	cancelled, cancel := context.WithCancel(c.Context())
	cancel()
	late, cancel := context.WithDeadline(c.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for _, ctx := range []context.Context{cancelled, late} {
		_, err := c.a.Load(ctx, id)
		c.refused(err, ctx.Err(), "Load")
		c.refused(c.a.Create(ctx, newID, record("2")), ctx.Err(), "Create")
		c.refused(c.a.Replace(ctx, id, record("1"), record("2")), ctx.Err(), "Replace")
		c.refused(c.a.Move(ctx, id, newID, record("1"), record("2")), ctx.Err(), "Move")
		c.refused(c.a.Touch(ctx, id, record("1"), hour.Add(day)), ctx.Err(), "Touch")
		c.refused(c.a.Delete(ctx, id), ctx.Err(), "Delete")
		// It may have nothing to do, as where the storage system sweeps.
		if _, err := c.a.DeleteExpired(ctx, sweepTime, 10); err != nil {
			c.refused(err, ctx.Err(), "DeleteExpired")
		}
		if b, ok := c.a.(session.Counter); ok {
			_, err := b.Count(ctx, time.Now())
			c.refused(err, ctx.Err(), "Count")
		}
		if b, ok := c.a.(session.ManyLoader); ok {
			_, err := b.LoadMany(ctx, []string{id, newID})
			c.refused(err, ctx.Err(), "LoadMany")
			_, err = b.LoadMany(ctx, nil)
			c.refused(err, ctx.Err(), "LoadMany of nothing")
		}
	}
	c.holds(oldID, old, "after a DeleteExpired whose time was up")
	c.holds(id, record("1"), "after calls whose time was up")
	c.none(newID, "after calls whose time was up")
}

// sweepTime is a moment in the future, so that no storage system removes what has
// expired by then by itself.
var sweepTime = hour.Truncate(time.Millisecond)

func deleteExpired(c *contract) {
	ctx := c.Context()
	const limit = 10
	old := make(map[string]bool)
	for i := range 2*limit + 5 {
		old[c.put(session.Record{Data: []byte("old"), Expiry: sweepTime.Add(-time.Duration(i) * time.Millisecond)})] = true
	}
	live := []string{
		c.put(session.Record{Data: []byte("live"), Expiry: sweepTime.Add(time.Millisecond)}),
		c.put(session.Record{Data: []byte("live"), Expiry: sweepTime.Add(day)}),
	}
	before := len(old)
	for {
		n, err := c.a.DeleteExpired(ctx, sweepTime, limit)
		c.ok(err, "DeleteExpired")
		removed := 0
		for id := range old {
			if _, err := c.b.Load(ctx, id); errors.Is(err, session.ErrNotFound) {
				delete(old, id)
				removed++
			}
		}
		if n < 0 || n > limit || n > 0 && n != removed {
			c.broken("DeleteExpired with a limit of %d removed %d and returned %d", limit, removed, n)
			return
		}
		if n < limit {
			break
		}
	}
	for _, id := range live {
		if _, err := c.b.Load(ctx, id); err != nil {
			c.broken("a record that has not expired, after DeleteExpired: %v", err)
		}
	}
	switch len(old) {
	case 0:
	case before: // Then it is up to the storage system.
		id := c.put(session.Record{Expiry: time.Now().Add(50 * time.Millisecond)})
		if !eventually(func() bool { _, err := c.b.Load(ctx, id); return errors.Is(err, session.ErrNotFound) }) {
			c.broken("expired records are removed neither by DeleteExpired nor, within ten seconds, by the storage system")
		}
	default:
		c.broken("DeleteExpired returned less than its limit, which means that it is through, and left %d of %d records", len(old), before)
	}
}

// loadMany compares with what Load says. The records are so many that a storage system
// which answers in parts has several.
func loadMany(c *contract) {
	ctx := c.Context()
	b, ok := c.b.(session.ManyLoader)
	if !ok {
		c.Skipf("not tested: %T has no method LoadMany, which is optional", c.b)
	}
	all := func(ids []string, what string) map[string]session.Record {
		found, err := b.LoadMany(ctx, ids)
		c.ok(err, "LoadMany of "+what)
		return found
	}
	if n := len(all(nil, "nothing")); n != 0 {
		c.broken("LoadMany of nothing: %d records", n)
	}
	at := time.Now().Add(50 * time.Millisecond)
	old := c.put(session.Record{Data: []byte("old"), Expiry: at})
	want := make(map[string]session.Record)
	ids := []string{c.id(), old}
	for i := range 300 {
		r := record(fmt.Sprint("data ", i), time.Duration(i)*time.Minute)
		if i == 100 {
			r.Data = nil
		}
		id := c.put(r)
		want[id] = r
		ids = append(ids, id)
		if i%50 == 0 {
			ids = append(ids, id, c.id())
		}
	}
	c.put(record("not asked for"))
	time.Sleep(time.Until(at) + 5*time.Millisecond)
	for _, n := range []int{1, 2, 3, 63, 64, 65, 130, len(ids)} {
		found := all(ids[:n], fmt.Sprint(n))
		if r, ok := found[old]; ok && r.Expiry.Sub(at) > time.Since(c.begin) {
			c.broken("LoadMany of an expired record: it expires %v later than it was to", r.Expiry.Sub(at))
		}
		for _, id := range ids[:n] {
			r, ok := found[id]
			is, there := want[id]
			switch {
			case id == old:
			case ok != there:
				c.broken("LoadMany of %d: a record is there %v, and found %v", n, there, ok)
			case ok && (string(r.Data) != string(is.Data) || !c.sameTime(id, r.Expiry, is.Expiry)):
				c.broken("LoadMany of %d: %.40q until %v, want %.40q until %v", n, r.Data, r.Expiry, is.Data, is.Expiry)
			}
		}
		for _, id := range ids[:n] {
			delete(found, id)
		}
		if len(found) != 0 {
			c.broken("LoadMany of %d: %d records that were not asked for", n, len(found))
		}
	}
	// What it returned is good for a write.
	id := ids[2]
	c.ok(c.a.Replace(ctx, id, all(ids[:3], "three")[id], record("next")), "Replace of what LoadMany returned")
	c.holds(id, record("next"), "after Replace")
	c.ok(c.a.Delete(ctx, id), "Delete")
	if _, ok := all(ids[:4], "four")[id]; ok {
		c.broken("LoadMany of a record that was deleted: it is there")
	}
}
