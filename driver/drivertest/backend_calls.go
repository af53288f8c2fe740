package drivertest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flamego/session"
)

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
		if b, ok := c.a.(session.Lister); ok {
			var last error
			for _, err := range b.IDs(ctx) {
				last = err
			}
			c.refused(last, ctx.Err(), "IDs")
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
		c.found(ids[:n], old, found, want)
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

// found compares what LoadMany returned with what is stored. Whether the old record, which
// has expired, is there does not matter.
func (c *contract) found(ids []string, old string, found, want map[string]session.Record) {
	c.Helper()
	n := len(ids)
	for _, id := range ids {
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
	for _, id := range ids {
		delete(found, id)
	}
	if len(found) != 0 {
		c.broken("LoadMany of %d: %d records that were not asked for", n, len(found))
	}
}
