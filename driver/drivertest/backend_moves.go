package drivertest

import (
	"context"
	"errors"
	"time"

	"github.com/flamego/session"
)

func createMeetsMove(c *contract) {
	c.rounds(func() {
		id, newID := c.put(record("1")), c.id()
		errs := c.meet(
			func() error { return c.a.Create(c.Context(), newID, record("created")) },
			func() error { return c.b.Move(c.Context(), id, newID, record("1"), record("moved", time.Minute)) },
		)
		switch c.won(errs, "Create or Move", session.ErrExists) {
		case 0:
			c.holds(newID, record("created"), "after Create, and a Move that failed")
			c.holds(id, record("1"), "after a Move that failed")
		case 1:
			c.holds(newID, record("moved", time.Minute), "after Move, and a Create that failed")
			c.none(id, "the old ID after Move")
		}
	})
}

func touchMeetsMove(c *contract) {
	c.rounds(func() {
		id, newID := c.put(record("1")), c.id()
		errs := c.meet(
			func() error { return c.a.Touch(c.Context(), id, record("1"), hour.Add(day)) },
			func() error { return c.b.Move(c.Context(), id, newID, record("1"), record("2", time.Minute)) },
		)
		touched, moved := c.done(errs[0], "Touch", session.ErrConflict), c.done(errs[1], "Move", session.ErrConflict)
		switch {
		case moved:
			c.none(id, "the old ID after Move, which met a Touch")
			c.holds(newID, record("2", time.Minute), "after Move, which met a Touch")
		case touched:
			c.holds(id, record("1", day), "after Touch, which met a Move that failed")
			c.none(newID, "after a Move that failed")
		default:
			c.broken("Touch and Move met, and both were refused")
		}
	})
}

func moveMeetsReplace(c *contract) {
	c.rounds(func() {
		id, newID := c.put(record("1")), c.id()
		errs := c.meet(
			func() error { return c.a.Move(c.Context(), id, newID, record("1"), record("moved")) },
			func() error { return c.b.Replace(c.Context(), id, record("1"), record("2", time.Minute)) },
		)
		switch c.won(errs, "Move or Replace", session.ErrConflict) {
		case 0:
			c.holds(newID, record("moved"), "after Move, which met a Replace that failed")
			c.none(id, "the old ID after Move")
		case 1:
			c.holds(id, record("2", time.Minute), "after Replace, which met a Move that failed")
			c.none(newID, "after a Move that failed")
		}
	})
}

func moveMeetsMove(c *contract) {
	c.rounds(func() {
		id, newIDs := c.put(record("1")), []string{c.id(), c.id()}
		calls := make([]func() error, len(newIDs))
		for i, newID := range newIDs {
			calls[i] = func() error {
				return c.instance(i).Move(c.Context(), id, newID, record("1"), record(newID))
			}
		}
		w := c.won(c.meet(calls...), "Move", session.ErrConflict)
		c.none(id, "the old ID after Move")
		for i, newID := range newIDs {
			if i == w {
				c.holds(newID, record(newID), "after Move")
			} else {
				c.none(newID, "after a Move that failed")
			}
		}
	})
}

func moveMeetsMoveTarget(c *contract) {
	c.rounds(func() {
		ids, newID := []string{c.put(record("1")), c.put(record("1"))}, c.id()
		calls := make([]func() error, len(ids))
		for i, id := range ids {
			calls[i] = func() error {
				return c.instance(i).Move(c.Context(), id, newID, record("1"), record(id))
			}
		}
		w := c.won(c.meet(calls...), "Move", session.ErrExists)
		for i, id := range ids {
			if i == w {
				c.none(id, "the old ID after Move")
				c.holds(newID, record(id), "after Move")
			} else {
				c.holds(id, record("1"), "after a Move that failed")
			}
		}
	})
}

func moveMeetsDelete(c *contract) {
	c.rounds(func() {
		id, newID := c.put(record("1")), c.id()
		errs := c.meet(
			func() error { return c.a.Move(c.Context(), id, newID, record("1"), record("2")) },
			func() error { return c.b.Delete(c.Context(), id) },
		)
		c.ok(errs[1], "Delete")
		c.none(id, "after Delete, which met a Move")
		if c.done(errs[0], "Move", session.ErrConflict) {
			c.holds(newID, record("2"), "after Move, which met a Delete")
		} else {
			c.none(newID, "after a Move that failed")
		}
	})
}

// moveUndoneMeetsEnd has a move fail, since the record has changed, while somebody ends the
// session under the new ID, and puts something else there. In a backend that moves in one
// step nothing of the move is ever seen.
func moveUndoneMeetsEnd(c *contract) {
	c.rounds(func() {
		id, newID := c.put(record("2")), c.id()
		errs := c.meet(
			func() error {
				return c.a.Move(c.Context(), id, newID, record("1"), record("moved"))
			},
			func() (err error) {
				for range 10 { // The move may have stored it again.
					if err = c.b.Delete(c.Context(), newID); err != nil {
						return err
					}
					if err = c.b.Create(c.Context(), newID, record("ended")); !errors.Is(err, session.ErrExists) {
						break
					}
				}
				return err
			},
		)
		c.refusedEither(errs[0], "Move of what has changed")
		if c.done(errs[1], "Create", session.ErrExists) {
			c.holds(newID, record("ended"), "after Create, which met a Move that failed")
		} else {
			c.none(newID, "after a Move that failed")
		}
		c.holds(id, record("2"), "after a Move that failed")
	})
}

func moveUndoneMeetsReplace(c *contract) {
	c.rounds(func() {
		id, newID := c.put(record("2")), c.id()
		errs := c.meet(
			func() error {
				return c.a.Move(c.Context(), id, newID, record("1"), record("moved"))
			},
			func() (err error) {
				for range 10 {
					if err = c.b.Replace(c.Context(), newID, record("moved"), record("written")); !errors.Is(err, session.ErrConflict) {
						break
					}
				}
				return err
			},
		)
		c.refused(errs[0], session.ErrConflict, "Move of what has changed")
		if c.done(errs[1], "Replace", session.ErrConflict) {
			c.holds(newID, record("written"), "after Replace, which met a Move that failed")
		} else {
			c.none(newID, "after a Move that failed")
		}
		c.holds(id, record("2"), "after a Move that failed")
	})
}

// moveUndoneLate has a move fail while its context ends.
func moveUndoneLate(c *contract) {
	c.rounds(func() {
		id, newID := c.put(record("2")), c.id()
		ctx, cancel := context.WithCancel(c.Context())
		defer cancel()
		errs := c.meet(
			func() error { return c.a.Move(ctx, id, newID, record("1"), record("moved")) },
			func() error { cancel(); return nil },
		)
		if errs[0] == nil {
			c.broken("Move of what has changed: no error")
		}
		if errors.Is(errs[0], session.ErrConflict) {
			c.none(newID, "after a Move that failed, whose context has ended")
		}
	})
}

// refusedEither wants a move to fail that could neither find what it should nor a free ID.
func (c *contract) refusedEither(err error, call string) {
	c.Helper()
	if !errors.Is(err, session.ErrConflict) && !errors.Is(err, session.ErrExists) {
		c.broken("%s: %v, want %v or %v", call, err, session.ErrConflict, session.ErrExists)
	}
}
