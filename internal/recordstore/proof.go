package recordstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/outage"
	"github.com/flamego/session/internal/sessionid"
)

// proof shows that a storage, as it is configured, keeps the contract of driver.Backend. A
// column of the wrong type or a connection that converts text would otherwise be found by
// visitors, whose sessions are acknowledged and gone.
type proof struct {
	owed atomic.Bool   // the start could not reach the storage
	turn chan struct{} // held by who tries; a call waits for it no longer than its context lasts
	last time.Time     // when it was last tried, and why it failed
	err  error
}

// tryAgain is how soon a proof that failed is tried again. Until then calls fail as it did.
const tryAgain = time.Second

// Prove is called at start, and returns what is wrong with the storage. If that passes by
// itself, the proof is owed: the first call that reaches the storage pays.
func (e *Engine) Prove(ctx context.Context) error {
	e.proof.owed.Store(true)
	return e.ready(ctx)
}

// ready pays a proof that is owed.
func (e *Engine) ready(ctx context.Context) error {
	p := &e.proof
	if !p.owed.Load() {
		return nil
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if !p.owed.Load() || p.err != nil && time.Since(p.last) < tryAgain {
		return p.err
	}
	p.err = e.prove(ctx)
	p.last = time.Now()
	p.owed.Store(p.err != nil)
	return p.err
}

// prove goes through the life of a session twice at a time, so that two connections are in
// use: a pooler in between could mix up what they have prepared.
func (e *Engine) prove(ctx context.Context) (err error) {
	a, b := e.newTrial(), e.newTrial()
	a.other, b.other = b, a
	defer func() {
		if err != nil && !outage.Is(err) { // Otherwise they expire.
			a.cleanUp(ctx)
			b.cleanUp(ctx)
		}
	}()
	for _, step := range trialSteps {
		var errs [2]error
		var wg sync.WaitGroup
		for i, t := range []*trial{a, b} {
			wg.Go(func() {
				defer func() {
					if p := recover(); p != nil {
						errs[i] = fmt.Errorf("panic: %v", p)
					}
				}()
				errs[i] = step.run(t, ctx)
			})
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil && outage.Is(err) {
				return err
			}
		}
		for _, err := range errs {
			if err != nil {
				return fmt.Errorf("Options.Config: the store fails when it has to %s: %w", step.name, err)
			}
		}
	}
	return nil
}

// trial is one record through its life.
type trial struct {
	records  driver.Backend
	many     driver.ManyLoader // the same, or nil
	id, next string
	now, old driver.Record // what is stored, and what was before
	loaded   driver.Record // what Load returned for it
	asked    time.Time     // when it was stored
	other    *trial
}

// newTrial has IDs that no client can present, and that no other server has.
func (e *Engine) newTrial() *trial {
	t := &trial{records: e.records, id: sessionid.KeyOf(sessionid.New(32)), next: sessionid.KeyOf(sessionid.New(32))}
	if _, ok := e.backend.(driver.ManyLoader); ok {
		t.many = e.records.(driver.ManyLoader)
	}
	return t
}

var trialSteps = []struct {
	name string
	run  func(*trial, context.Context) error
}{
	{"create a record", func(t *trial, ctx context.Context) error {
		t.store(1)
		return t.records.Create(ctx, t.id, t.now)
	}},
	{"load what another connection has created", func(t *trial, ctx context.Context) error { return t.other.check(ctx, t.other.id) }},
	{"refuse an ID that is taken", func(t *trial, ctx context.Context) error {
		if t.id < t.other.id { // One is enough: some systems take as long for it as for all the rest.
			return nil
		}
		return refused(t.records.Create(ctx, t.id, record(2)), driver.ErrExists)
	}},
	{"replace the record", func(t *trial, ctx context.Context) error {
		old := t.loaded
		t.store(2)
		return t.records.Replace(ctx, t.id, old, t.now)
	}},
	{"load what it has replaced", func(t *trial, ctx context.Context) error { return t.check(ctx, t.id) }},
	{"leave a record that has changed alone", func(t *trial, ctx context.Context) error {
		// These bytes are the same to whoever compares them as text, without regard to case.
		similar := driver.Record{Data: bytes.ReplaceAll(t.now.Data, []byte("A"), []byte("a")), Expiry: t.now.Expiry}
		return errors.Join(
			refused(t.records.Replace(ctx, t.id, similar, record(3)), driver.ErrConflict),
			refused(t.records.Touch(ctx, t.id, t.old, time.Now().Add(time.Minute)), driver.ErrConflict),
			refused(t.records.Move(ctx, t.id, t.next, t.old, record(3)), driver.ErrConflict),
		)
	}},
	{"change the expiry", func(t *trial, ctx context.Context) error {
		t.now.Expiry, t.asked = t.now.Expiry.Add(time.Minute), time.Now()
		return t.records.Touch(ctx, t.id, t.loaded, t.now.Expiry)
	}},
	{"load what it has touched", func(t *trial, ctx context.Context) error { return t.check(ctx, t.id) }},
	{"move the record", func(t *trial, ctx context.Context) error {
		old := t.loaded
		t.store(3)
		return t.records.Move(ctx, t.id, t.next, old, t.now)
	}},
	{"load what it has moved", func(t *trial, ctx context.Context) error {
		return errors.Join(t.check(ctx, t.next), t.missing(ctx, t.id))
	}},
	{"load several records", func(t *trial, ctx context.Context) error {
		if t.many == nil {
			return nil
		}
		found, err := t.many.LoadMany(ctx, []string{t.next, t.id})
		if err == nil && (len(found) != 1 || !bytes.Equal(found[t.next].Data, t.now.Data)) {
			err = errors.New("it returns other records than the stored ones")
		}
		return err
	}},
	{"delete the record", func(t *trial, ctx context.Context) error { return t.records.Delete(ctx, t.next) }},
	{"find nothing where a record was deleted", func(t *trial, ctx context.Context) error { return t.missing(ctx, t.next) }},
}

// store notes that the nth version is about to be stored.
func (t *trial) store(n byte) {
	t.old, t.now, t.asked = t.now, record(n), time.Now()
}

// record is the nth version of a record: all values of a byte, in more of them than small
// buffers hold, and an expiry with milliseconds.
func record(n byte) driver.Record {
	data := make([]byte, 0, 8<<10)
	for len(data) < 8<<10 {
		for b := range 256 {
			data = append(data, byte(b)+n)
		}
	}
	return driver.Record{Data: data, Expiry: time.UnixMilli(time.Now().Add(time.Hour).UnixMilli()/1000*1000 + 123)}
}

// check loads what was stored last.
func (t *trial) check(ctx context.Context, id string) error {
	r, err := t.records.Load(ctx, id)
	if errors.Is(err, driver.ErrNotFound) {
		return errors.New("a record that it acknowledged is not there: its key comes back as another one, so let InitTable make the table, or make the column as in the backend's documentation")
	}
	if err != nil {
		return err
	}
	t.loaded = r
	if !bytes.Equal(r.Data, t.now.Data) {
		return fmt.Errorf("of %d bytes that it acknowledged, it has kept others: the column, or the character set of the connection, has to be one of bytes", len(t.now.Data))
	}
	// An old table has seconds. Where the storage takes a time to live, it counts from the
	// call.
	early, late := t.now.Expiry.Sub(r.Expiry), r.Expiry.Sub(t.now.Expiry)-time.Since(t.asked)
	if early > 2*time.Second || late > time.Second {
		return fmt.Errorf("an expiry comes back as %s instead of %s: the column has to be one of dates with times, in the time zone of the connection", r.Expiry.UTC().Format(time.RFC3339Nano), t.now.Expiry.UTC().Format(time.RFC3339Nano))
	}
	return nil
}

func (t *trial) missing(ctx context.Context, id string) error {
	_, err := t.records.Load(ctx, id)
	return refused(err, driver.ErrNotFound)
}

// refused returns nil if the error is the one that was to be expected.
func refused(err, want error) error {
	switch {
	case errors.Is(err, want):
		return nil
	case err == nil:
		return fmt.Errorf("it succeeds, but has to return %w", want)
	}
	return err
}

// cleanUp leaves nothing behind, even if the time for the proof is over.
func (t *trial) cleanUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	defer func() { _ = recover() }() // Of a backend that has panicked already.
	for _, id := range []string{t.id, t.next} {
		_ = t.records.Delete(ctx, id)
	}
}
