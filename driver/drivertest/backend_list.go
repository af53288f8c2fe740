package drivertest

import "github.com/flamego/session"

// listIDs lists what is there, also while it is deleted.
func listIDs(c *contract) {
	b, ok := c.b.(session.Lister)
	if !ok {
		c.Skipf("not tested: %T has no method IDs, which is optional", c.b)
	}
	there := make(map[string]bool)
	for range 2100 { // Some pages.
		there[c.put(record("x"))] = true
	}
	seen := make(map[string]bool)
	for id, err := range b.IDs(c.Context()) {
		c.ok(err, "IDs")
		if there[id] && !seen[id] {
			c.ok(c.a.Delete(c.Context(), id), "Delete while IDs yields")
		}
		seen[id] = true
	}
	for id := range there {
		if !seen[id] {
			c.broken("IDs does not yield %s, which is there until it does", id)
			break
		}
	}
	id := c.put(record("x"))
	for _, err := range b.IDs(c.Context()) {
		c.ok(err, "IDs")
		break // Nobody wants more.
	}
	for is, err := range b.IDs(c.Context()) {
		if c.ok(err, "IDs"); there[is] {
			c.broken("IDs yields what was deleted before it was called")
			break
		}
	}
	c.ok(c.a.Delete(c.Context(), id), "Delete")
}
