package explore

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/flamego/session"
)

// outcome is what becomes of one call of the store.
type outcome int

const (
	done    outcome = iota
	refused         // nothing happens, and the caller gets an error
	lost            // it happens, but the answer is lost
	half            // of a Move: the new record is stored, the old one stays; or its second step or undo fails
	expired         // the clock steps over the expiry of every record first
	outcomes
)

func (o outcome) String() string {
	return [...]string{"", " refused", " answer lost", " half done", " after the expiry"}[o]
}

var errFault = errors.New("the connection broke")

// call is a call of the store, or another step of a request, that waits for its
// turn.
type call struct {
	name string
	req  *request
	kind kind
	turn chan outcome
}

// kind is what a call does.
type kind int

const (
	reads kind = iota
	writes
	moves  // can be done by half
	copies // the first step of a Move
	ends   // the second step of a Move, or undoing the first
)

// moving is how a Backend moves records.
type moving int

const (
	killed  moving = iota // in one step, unless the process is killed in the middle
	atOnce                // always in one step, and it says so
	inSteps               // in two that others can come between, the first of which is undone by comparing
	blindly               // the same, but it is undone without looking
)

// world is the store of one schedule: a Backend every call of which waits until the
// scheduler lets it take effect.
type world struct {
	mu      sync.Mutex // two requests may run up to their next calls at the same time
	records map[string]session.Record
	now     time.Time
	pending []*call
	free    bool // nobody schedules: calls take effect at once
	moving  moving
	panics  bool // when an answer is lost

	ticks    int  // calls that have taken effect
	unlisted bool // the library has reported that it could not take something off a list
}

type requestKey struct{}

// pass has the clock step on.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// tick says how many calls have taken effect.
func (w *world) tick() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ticks
}

func (w *world) step(ctx context.Context, name string, kind kind, run func() error) error {
	req, _ := ctx.Value(requestKey{}).(*request)
	if w.free || req == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		return run()
	}
	c := &call{name: name, req: req, kind: kind, turn: make(chan outcome)}
	w.mu.Lock()
	w.pending = append(w.pending, c)
	w.mu.Unlock()
	o := <-c.turn
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ticks++
	switch o {
	case refused:
		return errFault
	case half:
		_ = run()
		return errFault
	case lost:
		_ = run()
		if w.panics {
			panic(errFault)
		}
		return errFault
	case expired:
		w.now = w.now.Add(30 * 24 * time.Hour)
	}
	return run()
}

func (w *world) Load(ctx context.Context, id string) (r session.Record, err error) {
	err = w.step(ctx, "load "+id[:4], reads, func() error {
		var ok bool
		if r, ok = w.records[id]; !ok {
			return session.ErrNotFound
		}
		return nil
	})
	return r, err
}

// backwards is a world that loads many records one by one, the last first, as one may that has
// them on several servers.
type backwards struct{ *world }

func (b backwards) LoadMany(ctx context.Context, ids []string) (map[string]session.Record, error) {
	found := make(map[string]session.Record)
	for _, id := range slices.Backward(ids) {
		switch r, err := b.Load(ctx, id); {
		case err == nil:
			found[id] = r
		case !errors.Is(err, session.ErrNotFound):
			return nil, err
		}
	}
	return found, nil
}

func (w *world) Create(ctx context.Context, id string, r session.Record) error {
	return w.step(ctx, "create "+id[:4], writes, func() error {
		if _, ok := w.records[id]; ok {
			return session.ErrExists
		}
		w.records[id] = keep(r)
		return nil
	})
}

func keep(r session.Record) session.Record {
	return session.Record{Data: bytes.Clone(r.Data), Expiry: r.Expiry}
}

func (w *world) same(id string, old session.Record) bool {
	now, ok := w.records[id]
	return ok && bytes.Equal(now.Data, old.Data)
}

func (w *world) Replace(ctx context.Context, id string, old, r session.Record) error {
	return w.step(ctx, "replace "+id[:4], writes, func() error {
		if !w.same(id, old) {
			return session.ErrConflict
		}
		w.records[id] = keep(r)
		return nil
	})
}

func (w *world) Move(ctx context.Context, id, newID string, old, r session.Record) error {
	c, kind := "move "+id[:4]+" to "+newID[:4], moves
	switch w.moving {
	case inSteps, blindly:
		return w.moveInSteps(ctx, c, id, newID, old, r)
	case atOnce:
		kind = writes
	}
	return w.step(ctx, c, kind, func() error {
		if !w.same(id, old) {
			return session.ErrConflict
		}
		if _, ok := w.records[newID]; ok {
			return session.ErrExists
		}
		w.records[newID] = keep(r)
		if req, _ := ctx.Value(requestKey{}).(*request); req != nil && req.half {
			req.half = false
			return nil
		}
		delete(w.records, id)
		return nil
	})
}

// MovesInOneStep implements driver.OneStepMover.
func (w *world) MovesInOneStep() bool { return w.moving == atOnce }

// moveInSteps is Move where the keys may be on two servers.
func (w *world) moveInSteps(ctx context.Context, c, id, newID string, old, r session.Record) error {
	err := w.step(ctx, c+": create", copies, func() error {
		if _, ok := w.records[newID]; ok {
			return session.ErrExists
		}
		w.records[newID] = keep(r)
		return nil
	})
	if err != nil {
		return err
	}
	err = w.step(ctx, c+": remove", ends, func() error {
		if !w.same(id, old) {
			return session.ErrConflict
		}
		delete(w.records, id)
		return nil
	})
	if !errors.Is(err, session.ErrConflict) {
		return err
	}
	undo := w.step(ctx, c+": undo", ends, func() error {
		if w.moving == blindly || w.same(newID, r) {
			delete(w.records, newID)
		}
		return nil
	})
	if undo != nil {
		return undo
	}
	return err
}

func (w *world) Touch(ctx context.Context, id string, old session.Record, expiry time.Time) error {
	return w.step(ctx, "touch "+id[:4], writes, func() error {
		if !w.same(id, old) {
			return session.ErrConflict
		}
		w.records[id] = session.Record{Data: w.records[id].Data, Expiry: expiry}
		return nil
	})
}

func (w *world) Delete(ctx context.Context, id string) error {
	return w.step(ctx, "delete "+id[:4], writes, func() error {
		delete(w.records, id)
		return nil
	})
}

func (w *world) DeleteExpired(context.Context, time.Time, int) (int, error) { return 0, nil }
