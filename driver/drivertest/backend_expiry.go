package drivertest

import (
	"errors"
	"time"

	"github.com/flamego/session"
)

const day = 24 * time.Hour

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
