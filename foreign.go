package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// foreignEngine works with a Store that was written by somebody else, through
// the six methods that such Stores have had since v1.6.6. They offer no
// compare-and-swap, so what a commit merges, and that a flash is seen once,
// holds among the requests of this process only, which take turns.
type foreignEngine struct {
	Store
	queues queues
	visits visits
}

// visits tells whether the requests of one session in this process have met. Where
// nothing else tells who has destroyed a record, that does: handlers written for
// v1.6.6 destroy the old one themselves when they ask for a new ID.
type visits struct {
	mu sync.Mutex
	at map[string]*guests
}

type guests struct{ here, came int }

func (v *visits) enter(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.at == nil {
		v.at = make(map[string]*guests)
	}
	if v.at[id] == nil {
		v.at[id] = &guests{}
	}
	v.at[id].here++
	v.at[id].came++
}

func (v *visits) leave(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.at[id].here--; v.at[id].here == 0 {
		delete(v.at, id)
	}
}

// alone tells whether nobody else was here at the same time.
func (v *visits) alone(id string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.at[id] == nil || v.at[id].came == 1
}

func (e *foreignEngine) load(ctx context.Context, id string) (snapshot, error) {
	// Exist first, because Read makes up what is not there.
	if !e.Exist(ctx, id) {
		return snapshot{}, ErrNotFound
	}
	sess, err := e.Read(ctx, id)
	return snapshot{foreign: sess}, err
}

func (e *foreignEngine) create(ctx context.Context, id string, ch *changes, _ time.Time) (snapshot, error) {
	leave, err := e.queues.enter(ctx, id)
	if err != nil {
		return snapshot{}, err
	}
	defer leave()
	if e.Exist(ctx, id) {
		return snapshot{}, ErrExists
	}
	sess, err := e.Read(ctx, id)
	if err != nil {
		return snapshot{}, err
	}
	return e.save(ctx, sess, ch)
}

// replace puts the changes on top of what is stored now, whatever the request
// had loaded.
func (e *foreignEngine) replace(ctx context.Context, id string, _ snapshot, ch *changes, _ time.Time) (snapshot, error) {
	leave, err := e.queues.enter(ctx, id)
	if err != nil {
		return snapshot{}, err
	}
	defer leave()
	now, err := e.load(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return snapshot{}, ErrConflict
	}
	if err != nil {
		return snapshot{}, err
	}
	if _, ok := now.get(flashKey); ch == onlyFlash && !ok {
		return snapshot{}, ErrConflict // Another request has taken it.
	}
	if ch, err = redo(ch, now); err != nil {
		return snapshot{}, err
	}
	return e.save(ctx, now.foreign, ch)
}

// move stores the session that the request has, whose ID is the new one already.
func (e *foreignEngine) move(ctx context.Context, id, _ string, old snapshot, ch *changes, _ time.Time) (snapshot, error) {
	leave, err := e.queues.enter(ctx, id)
	if err != nil {
		return snapshot{}, err
	}
	defer leave()
	if !old.left && !e.Exist(ctx, id) {
		return snapshot{}, ErrConflict
	}
	snap, err := e.save(ctx, old.foreign, ch)
	if err != nil {
		return snapshot{}, err
	}
	return snap, e.Destroy(ctx, id)
}

func (e *foreignEngine) save(ctx context.Context, sess Session, ch *changes) (snapshot, error) {
	if ch.flushed {
		kept := make([]any, len(reservedKeys))
		for i, key := range reservedKeys {
			kept[i] = sess.Get(key)
		}
		sess.Flush()
		for i, key := range reservedKeys {
			if kept[i] != nil {
				sess.Set(key, kept[i])
			}
		}
	}
	for _, c := range ch.list {
		if c.deleted {
			sess.Delete(c.key)
		} else {
			sess.Set(c.key, c.val)
		}
	}
	return snapshot{foreign: sess}, e.Save(ctx, sess)
}

func (e *foreignEngine) touch(ctx context.Context, id string, _ snapshot, _ time.Time) error {
	return e.Touch(ctx, id)
}

func (e *foreignEngine) remove(ctx context.Context, id string) error {
	return e.Destroy(ctx, id)
}

func (e *foreignEngine) sweep(ctx context.Context, _ time.Time, _ int) (int, error) {
	return 0, e.GC(ctx)
}

func (e *foreignEngine) encode(old snapshot, ch *changes) ([]byte, error) {
	if old.foreign == nil {
		return gobCodec.marshal(ch.apply(noValues))
	}
	b, err := old.foreign.Encode()
	if err != nil || ch.empty() {
		return b, err
	}
	data, err := GobDecoder(b)
	if err != nil {
		return nil, fmt.Errorf("encode: changes can't be added to the Store's own encoding: %w", err)
	}
	return gobCodec.marshal(ch.apply(newValuesFrom(data)))
}

// removes tells whether it is the application's own doing if the record is gone by
// now, or when the session moves: it was there, or nobody else could have ended it.
func (e *foreignEngine) removes(ctx context.Context, id string) bool {
	return e.Exist(ctx, id) || e.visits.alone(id)
}

// regenerateForeign has the session choose its new ID. The client hears of it
// when the session has been stored, not through this writer.
func regenerateForeign(sess Session, r *http.Request) (string, error) {
	if err := sess.RegenerateID(unsent{}, r); err != nil {
		return "", fmt.Errorf("session: regenerate ID: %w", err)
	}
	return sess.ID(), nil
}

// unsent is a response that nobody gets.
type unsent struct{}

func (unsent) Header() http.Header         { return http.Header{} }
func (unsent) Write(b []byte) (int, error) { return len(b), nil }
func (unsent) WriteHeader(int)             {}
