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
