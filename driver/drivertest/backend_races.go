package drivertest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/flamego/session"
)

// racers is how many come at once where it makes no difference who they are.
const racers = 6

// won returns who of the callers succeeded; all others must have been refused.
func (c *contract) won(errs []error, call string, refusal error) int {
	c.Helper()
	winner := -1
	for i, err := range errs {
		if !c.done(err, call, refusal) {
			continue
		}
		if winner >= 0 {
			c.broken("%s succeeded for more than one", call)
		}
		winner = i
	}
	if winner < 0 {
		c.broken("%s succeeded for nobody of %d: %v", call, len(errs), errs)
	}
	return winner
}

// instance is one of the two.
func (c *contract) instance(i int) session.Backend {
	if i%2 == 0 {
		return c.a
	}
	return c.b
}

func createMeetsCreate(c *contract) {
	c.rounds(func() {
		id := c.id()
		calls := make([]func() error, racers)
		for i := range calls {
			calls[i] = func() error {
				return c.instance(i).Create(c.Context(), id, record(fmt.Sprint(i), time.Duration(i)*time.Minute))
			}
		}
		if w := c.won(c.meet(calls...), "Create", session.ErrExists); w >= 0 {
			c.holds(id, record(fmt.Sprint(w), time.Duration(w)*time.Minute), "what the one that succeeded has stored")
		}
	})
}

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

func replaceMeetsReplace(c *contract) {
	c.rounds(func() {
		id := c.put(record("1"))
		calls := make([]func() error, racers)
		for i := range calls {
			calls[i] = func() error {
				return c.instance(i).Replace(c.Context(), id, record("1"), record(fmt.Sprint("new", i), time.Duration(i)*time.Minute))
			}
		}
		if w := c.won(c.meet(calls...), "Replace", session.ErrConflict); w >= 0 {
			c.holds(id, record(fmt.Sprint("new", w), time.Duration(w)*time.Minute), "what the one that succeeded has stored")
		}
	})
}

func replaceMeetsDelete(c *contract) {
	c.rounds(func() {
		id := c.put(record("1"))
		errs := c.meet(
			func() error { return c.a.Replace(c.Context(), id, record("1"), record("2")) },
			func() error { return c.b.Delete(c.Context(), id) },
		)
		c.done(errs[0], "Replace", session.ErrConflict)
		c.ok(errs[1], "Delete")
		c.none(id, "after Delete, which met a Replace")
	})
}

// touchMeetsReplace, and others where a Touch meets something, let one of the two be
// refused although it need not be: a Touch may have made another version.
func touchMeetsReplace(c *contract) {
	c.rounds(func() {
		id := c.put(record("1"))
		errs := c.meet(
			func() error { return c.a.Touch(c.Context(), id, record("1"), hour.Add(day)) },
			func() error { return c.b.Replace(c.Context(), id, record("1"), record("2", time.Minute)) },
		)
		touched, replaced := c.done(errs[0], "Touch", session.ErrConflict), c.done(errs[1], "Replace", session.ErrConflict)
		switch {
		case replaced:
			c.holds(id, record("2", time.Minute), "after Replace, which met a Touch")
		case touched:
			c.holds(id, record("1", day), "after Touch, which met a Replace that failed")
		default:
			c.broken("Touch and Replace met, and both were refused")
		}
	})
}

func touchMeetsTouch(c *contract) {
	c.rounds(func() {
		id := c.put(record("1"))
		calls := make([]func() error, racers)
		for i := range calls {
			calls[i] = func() error {
				return c.instance(i).Touch(c.Context(), id, record("1"), hour.Add(time.Minute))
			}
		}
		touched := 0
		for _, err := range c.meet(calls...) {
			if c.done(err, "Touch", session.ErrConflict) {
				touched++
			}
		}
		if touched == 0 {
			c.broken("of %d Touches that met none was done", racers)
			return
		}
		c.holds(id, record("1", time.Minute), "after Touches that met")
	})
}

func touchMeetsDelete(c *contract) {
	c.rounds(func() {
		id := c.put(record("1"))
		errs := c.meet(
			func() error { return c.a.Touch(c.Context(), id, record("1"), hour.Add(day)) },
			func() error { return c.b.Delete(c.Context(), id) },
		)
		c.done(errs[0], "Touch", session.ErrConflict)
		c.ok(errs[1], "Delete")
		c.none(id, "after Delete, which met a Touch")
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

func deleteExpiredMeetsTouch(c *contract) {
	deleteExpiredMeets(c, "Touch", record("old", day), func(b session.Backend, ctx context.Context, id string, old session.Record) error {
		return b.Touch(ctx, id, old, hour.Add(day))
	})
}

func deleteExpiredMeetsReplace(c *contract) {
	deleteExpiredMeets(c, "Replace", record("new", day), func(b session.Backend, ctx context.Context, id string, old session.Record) error {
		return b.Replace(ctx, id, old, record("new", day))
	})
}

// deleteExpiredMeets has a call save one of a few records that have expired. A
// session that was loaded in time may be saved, and is then alive; or the sweep comes
// first, and the call hears of it.
func deleteExpiredMeets(c *contract, call string, want session.Record, save func(session.Backend, context.Context, string, session.Record) error) {
	old := session.Record{Data: []byte("old"), Expiry: sweepTime.Add(-time.Minute)}
	c.rounds(func() {
		ids := []string{c.put(old), c.put(old), c.put(old)}
		calls := []func() error{func() error {
			_, err := c.a.DeleteExpired(c.Context(), sweepTime, 1000)
			return err
		}}
		for i, id := range ids {
			calls = append(calls, func() error { return save(c.instance(i+1), c.Context(), id, old) })
		}
		errs := c.meet(calls...)
		c.ok(errs[0], "DeleteExpired")
		for i, id := range ids {
			if c.done(errs[i+1], call, session.ErrConflict) {
				c.holds(id, want, "after "+call+", which met a DeleteExpired")
			} else {
				c.none(id, "after a "+call+" that failed")
			}
		}
		for _, id := range ids {
			c.ok(c.a.Delete(c.Context(), id), "Delete")
		}
	})
}

// counting has everybody count in one record, on top of what they have loaded, while
// others touch it.
func counting(c *contract) {
	const each = 5
	c.rounds(func() {
		id := c.put(record("0"))
		calls := make([]func() error, racers)
		for i := range calls {
			b := c.instance(i)
			calls[i] = func() error {
				for n := 0; n < each; {
					r, err := b.Load(c.Context(), id)
					if err != nil {
						return err
					}
					if err = b.Touch(c.Context(), id, r, hour.Add(time.Minute)); err != nil && !errors.Is(err, session.ErrConflict) {
						return err
					}
					if err == nil {
						r.Version = nil // As the library does after a Touch.
					}
					count, _ := strconv.Atoi(string(r.Data))
					switch err = b.Replace(c.Context(), id, r, record(fmt.Sprint(count+1), time.Minute)); {
					case err == nil:
						n++
					case !errors.Is(err, session.ErrConflict):
						return err
					}
				}
				return nil
			}
		}
		for _, err := range c.meet(calls...) {
			c.ok(err, "Load, Touch and Replace")
		}
		c.holds(id, record(fmt.Sprint(racers*each), time.Minute), "after so many counts")
	})
}
