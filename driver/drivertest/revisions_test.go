package drivertest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/flamego/session"
)

// revisionBackend is a Backend on such a system, in several steps where that has no
// single one. Under the name of a mutant it does what an author may get wrong.
type revisionBackend struct {
	*revisions
	mutant string
	mu     sync.Mutex
	cache  map[string]session.Record
}

func (b *revisionBackend) is(mutant string) bool { return b.mutant == mutant }

// window is where others may come between two steps.
func (b *revisionBackend) window() {
	if rand.N(2) == 0 {
		time.Sleep(rand.N(50 * time.Microsecond))
		return
	}
	for range rand.N(10) {
		runtime.Gosched()
	}
}

// forget is for a cache that knows of its own server's writes at least.
func (b *revisionBackend) forget(ids ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		delete(b.cache, id)
	}
}

// begin is what every call does first.
func (b *revisionBackend) begin(ctx context.Context) error {
	if b.is("a done context is ignored") {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("revisions: %w", err)
	}
	return nil
}

// The sentinels may be wrapped.
var (
	errMissing = fmt.Errorf("revisions: %w", session.ErrNotFound)
	errTaken   = fmt.Errorf("revisions: %w", session.ErrExists)
	errChanged = fmt.Errorf("revisions: %w", session.ErrConflict)
)

func (b *revisionBackend) Load(ctx context.Context, id string) (session.Record, error) {
	if err := b.begin(ctx); err != nil {
		return session.Record{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if r, ok := b.cache[id]; ok && b.is("Load has a cache") {
		return r, nil
	}
	e, ok := b.get(b.key(id))
	switch {
	case !ok && b.is("what is missing is empty"):
		return session.Record{}, nil
	case !ok, len(e.data) == 0 && b.is("what is empty is missing"):
		return session.Record{}, errMissing
	}
	r := session.Record{Data: bytes.Clone(e.data), Expiry: e.expiry, Version: e.revision}
	if b.is("Load shares its bytes") {
		r.Data = e.data
	}
	if b.cache != nil {
		b.cache[id] = r
	}
	return r, nil
}

func (b *revisionBackend) LoadMany(ctx context.Context, ids []string) (map[string]session.Record, error) {
	if err := b.begin(ctx); err != nil {
		return nil, err
	}
	found := make(map[string]session.Record)
	for _, id := range ids {
		r, err := b.Load(ctx, id)
		switch {
		case errors.Is(err, session.ErrNotFound) && b.is("LoadMany fails for what is missing"):
			return nil, err
		case err == nil, b.is("LoadMany has what is missing"):
			found[id] = r
		case !errors.Is(err, session.ErrNotFound):
			return nil, err
		}
		if len(found) == 100 && b.is("LoadMany stops early") {
			break
		}
	}
	return found, nil
}

func (b *revisionBackend) Create(ctx context.Context, id string, r session.Record) error {
	defer b.forget(id)
	if err := b.begin(ctx); err != nil {
		return err
	}
	switch b.mutant {
	case "Create overwrites":
		b.force(b.key(id), b.entry(r))
		return nil
	case "Create looks first":
		if _, ok := b.get(id); ok {
			return errTaken
		}
		b.window()
		b.force(b.key(id), b.entry(r))
		return nil
	}
	if !b.put(b.key(id), b.entry(r), 0) {
		return errTaken
	}
	return nil
}

// change calls do with the entry that is the old record, until nobody came between.
func (b *revisionBackend) change(ctx context.Context, id string, old session.Record, do func(e entry) bool) error {
	for {
		if err := b.begin(ctx); err != nil {
			return err
		}
		e, ok := b.get(b.key(id))
		if !ok || !b.same(e, old) {
			return errChanged
		}
		b.window()
		if do(e) {
			return nil
		}
	}
}

func (b *revisionBackend) Replace(ctx context.Context, id string, old, r session.Record) error {
	defer b.forget(id)
	next := b.entry(r)
	if err := b.begin(ctx); err != nil {
		return err
	}
	e, ok := b.get(id)
	switch b.mutant {
	case "Replace creates":
		if !ok {
			b.force(id, next)
			return nil
		}
	case "Replace ignores old":
		if !ok {
			return errChanged
		}
		b.force(id, next)
		return nil
	case "Replace looks first":
		if !ok || !b.same(e, old) {
			return errChanged
		}
		b.window()
		b.force(id, next)
		return nil
	case "Replace keeps the expiry":
		next.expiry = e.expiry
	}
	return b.change(ctx, id, old, func(e entry) bool { return b.put(b.key(id), next, e.revision) })
}

func (b *revisionBackend) Move(ctx context.Context, id, newID string, old, r session.Record) error {
	defer b.forget(id, newID)
	if err := b.begin(ctx); err != nil {
		return err
	}
	e, ok := b.get(b.key(id))
	switch b.mutant {
	case "Move purges the old ID": // Whatever it holds by then.
		if !ok || !b.same(e, old) {
			return errChanged
		}
	case "Move overwrites the new ID":
		b.purge(b.key(newID))
	case "Move calls a taken ID a conflict":
		if _, ok := b.get(newID); ok {
			return errChanged
		}
	case "Move keeps the data":
		r.Data = e.data
	}

	// 1. Store the new record.
	if !b.put(b.key(newID), b.entry(r), 0) {
		if b.is("Move undoes what it has not done") {
			b.purge(b.key(newID))
		}
		return errTaken
	}

	// 2. Remove the old one, if it still is what the caller has seen.
	b.window()
	switch b.mutant {
	case "Move purges the old ID":
		b.purge(b.key(id))
		return nil
	case "Move leaves the old record":
		if !ok || !b.same(e, old) {
			b.purge(b.key(newID))
			return errChanged
		}
		return nil
	case "Move ignores old":
		if !ok {
			b.purge(b.key(newID))
			return errChanged
		}
		b.purge(b.key(id))
		return nil
	}
	err := b.change(ctx, id, old, func(e entry) bool { return b.remove(b.key(id), e.revision) })

	// 3. Undo the first step, if the second could not be done and nobody came between.
	if err != nil {
		b.undo(ctx, b.key(newID), b.entry(r).data)
	}
	return err
}

func (b *revisionBackend) undo(ctx context.Context, key string, stored []byte) {
	e, ok := b.get(key)
	ok = ok && bytes.Equal(e.data, stored)
	switch b.mutant {
	case "Move is not undone":
		return
	case "Move is undone blindly":
		b.purge(key)
		return
	case "Move is undone without looking again":
		b.window()
		if ok {
			b.purge(key)
		}
		return
	case "Move is not undone once time is up":
		b.window()
		if ctx.Err() != nil {
			return
		}
	}
	if ok {
		b.remove(key, e.revision) // Or it has changed since.
	}
}

func (b *revisionBackend) Touch(ctx context.Context, id string, old session.Record, expiry time.Time) error {
	defer b.forget(id)
	if err := b.begin(ctx); err != nil {
		return err
	}
	at := b.entry(session.Record{Expiry: expiry}).expiry
	e, ok := b.get(b.key(id))
	switch b.mutant {
	case "Touch overwrites":
		if !ok || !b.same(e, old) {
			return errChanged
		}
		b.window()
		if _, ok := b.get(id); !ok {
			return errChanged
		}
		b.force(id, entry{data: e.data, expiry: at})
		return nil
	case "Touch ignores old":
		if !ok {
			return errChanged
		}
		old = session.Record{Version: e.revision}
	case "Touch recreates a missing record":
		if !ok {
			b.force(id, entry{data: bytes.Clone(old.Data), expiry: at})
			return nil
		}
	case "Touch recreates what goes missing":
		if !ok || !b.same(e, old) {
			return errChanged
		}
		b.window()
		if !b.put(id, entry{data: e.data, expiry: at}, e.revision) && !b.put(id, entry{data: e.data, expiry: at}, 0) {
			return errChanged
		}
		return nil
	case "a conflict of Touch is another error":
		if ok && !b.same(e, old) {
			return errors.New("revisions: wrong last sequence")
		}
	case "Touch of nothing is another error":
		if !ok {
			return errors.New("revisions: key not found")
		}
	case "Touch does nothing":
		return b.change(ctx, id, old, func(entry) bool { return true })
	case "Touch only makes it later":
		if ok && at.Before(e.expiry) {
			at = e.expiry
		}
	}
	return b.change(ctx, id, old, func(e entry) bool {
		return b.put(b.key(id), entry{data: e.data, expiry: at}, e.revision)
	})
}

func (b *revisionBackend) Delete(ctx context.Context, id string) error {
	defer b.forget(id)
	if err := b.begin(ctx); err != nil {
		return err
	}
	switch _, ok := b.get(b.key(id)); {
	case !ok && b.is("Delete of nothing is an error"):
		return errMissing
	case b.is("Delete does nothing"):
		return nil
	}
	b.purge(b.key(id))
	return nil
}

func (b *revisionBackend) DeleteExpired(ctx context.Context, now time.Time, limit int) (n int, err error) {
	if b.is("DeleteExpired does nothing") {
		return 0, nil
	}
	var expired []string
	all := b.list()
	for id, e := range all {
		if !e.expiry.After(now) || b.is("DeleteExpired removes what is alive") {
			expired = append(expired, id)
		}
	}
	if !b.is("DeleteExpired ignores its limit") {
		expired = expired[:min(limit, len(expired))]
	}
	b.window()
	for _, id := range expired {
		if err := b.begin(ctx); err != nil {
			return n, err
		}
		switch {
		case b.is("DeleteExpired does not look again"):
			b.purge(id)
			n++
		case b.remove(id, all[id].revision):
			n++
		}
	}
	if b.is("DeleteExpired stops early") {
		return min(n, limit-1), nil
	}
	return n, nil
}
