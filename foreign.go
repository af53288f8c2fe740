package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/flamego/session/internal/codec"
	"github.com/flamego/session/internal/sessionid"
	"github.com/flamego/session/internal/txn"
)

// foreignEngine uses a Store of the application's own, through the six methods that Stores
// have had since v1.6.6. They offer no compare-and-swap, so merging, and a flash delivered at
// most once, work only among the requests of this process, which are serialized.
type foreignEngine struct {
	outer  Store
	queues txn.Queues
	visits visits
}

// foreignView is a session of such a Store. It changes in place.
type foreignView struct {
	Session
	left bool // the application itself removes the old record when the session moves
}

// Own implements txn.View.
func (v *foreignView) Own() []txn.Pair { return txn.OwnOf(v) }

// Get implements txn.View.
func (v *foreignView) Get(key any) (any, bool) {
	val := v.Session.Get(key)
	if list, ok := val.([]any); ok && key == any(txn.FlashKey) {
		val = txn.Flashes(list) // What an encoding that keeps no types has left of it.
	}
	return val, val != nil
}

// farFuture is a placeholder for an expiry that only the Store knows.
var farFuture = time.Unix(1<<40, 0)

func foreignVersion(id string, sess Session) *txn.Version {
	return &txn.Version{ID: id, View: &foreignView{Session: sess}, Record: Record{Expiry: farFuture}}
}

func (e *foreignEngine) Traits() txn.Traits { return txn.Traits{OwnExpiry: true, HandlersSave: true} }

func (e *foreignEngine) Valid(id string, least int) bool {
	return sessionid.Valid(id, least)
}

func (e *foreignEngine) Load(ctx context.Context, id string) (*txn.Version, error) {
	// Exist first, because Read returns an empty session for an unknown ID.
	if !e.outer.Exist(ctx, id) {
		return nil, ErrNotFound
	}
	sess, err := e.outer.Read(ctx, id)
	if err != nil {
		return nil, err
	}
	return foreignVersion(id, sess), nil
}

func (e *foreignEngine) Create(ctx context.Context, id string, ch *txn.Changes, _ time.Time) (*txn.Version, error) {
	leave, err := e.queues.Enter(ctx, id)
	if err != nil {
		return nil, err
	}
	defer leave()
	if e.outer.Exist(ctx, id) {
		return nil, ErrExists
	}
	sess, err := e.outer.Read(ctx, id)
	if err != nil {
		return nil, err
	}
	return e.save(ctx, id, sess, ch)
}

// Replace rebases the changes on what is stored now, whatever the request loaded.
func (e *foreignEngine) Replace(ctx context.Context, old *txn.Version, ch *txn.Changes, _ time.Time) (*txn.Version, error) {
	leave, err := e.queues.Enter(ctx, old.ID)
	if err != nil {
		return nil, err
	}
	defer leave()
	now, err := e.Load(ctx, old.ID)
	if errors.Is(err, ErrNotFound) {
		return nil, ErrConflict
	}
	if err != nil {
		return nil, err
	}
	if _, ok := now.View.Get(txn.FlashKey); ch == txn.TakeFlash && !ok {
		return nil, ErrConflict // Another request has taken it.
	}
	if ch, err = ch.Rebase(now.View); err != nil {
		return nil, err
	}
	return e.save(ctx, old.ID, now.View.(*foreignView).Session, ch)
}

// Move stores the request's session, which already has the new ID, with what others have
// stored meanwhile.
func (e *foreignEngine) Move(ctx context.Context, old *txn.Version, newID string, ch *txn.Changes, _ time.Time) (*txn.Version, error) {
	leave, err := e.queues.Enter(ctx, old.ID)
	if err != nil {
		return nil, err
	}
	defer leave()
	v := old.View.(*foreignView)
	now, err := e.Load(ctx, old.ID)
	switch {
	case e.visits.ended(old.ID), errors.Is(err, ErrNotFound) && !v.left:
		return nil, ErrConflict
	case err == nil && !isSameSession(now.View.(*foreignView).Session, v.Session):
		if ch, err = ch.Rebase(now.View); err != nil {
			return nil, err
		}
		if vals, err := valuesOf(now.View.(*foreignView).Session); err == nil {
			v.Flush()
			for _, p := range vals.Pairs {
				v.Set(p.Key, p.Value)
			}
		}
	case err != nil && !errors.Is(err, ErrNotFound):
		return nil, err
	}
	next, err := e.save(ctx, newID, v.Session, ch)
	if err != nil {
		return nil, err
	}
	return next, e.Delete(ctx, old.ID)
}

// isSameSession reports whether the Store hands out one live session to all requests. A
// session of a type that cannot be compared is a copy.
func isSameSession(a, b Session) bool { return reflect.ValueOf(a).Comparable() && a == b }

func (e *foreignEngine) save(ctx context.Context, id string, sess Session, ch *txn.Changes) (*txn.Version, error) {
	if ch.Flushed() {
		kept := make(map[any]any)
		for _, key := range txn.KeptKeys() {
			if val := sess.Get(key); val != nil {
				kept[key] = val
			}
		}
		sess.Flush()
		for key, val := range kept {
			sess.Set(key, val)
		}
	}
	for key, val := range ch.All() {
		if val == nil {
			sess.Delete(key)
		} else {
			sess.Set(key, val)
		}
	}
	if err := e.outer.Save(ctx, sess); err != nil {
		return nil, err
	}
	return foreignVersion(id, sess), nil
}

func (e *foreignEngine) Touch(ctx context.Context, old *txn.Version, _ time.Time) (*txn.Version, error) {
	next := *old
	return &next, e.outer.Touch(ctx, old.ID)
}

func (e *foreignEngine) Delete(ctx context.Context, id string) error {
	e.visits.end(id)
	return e.outer.Destroy(ctx, id)
}

func (e *foreignEngine) Sweep(ctx context.Context, _ time.Time, _ int) (int, error) {
	return 0, e.outer.GC(ctx)
}

// Count implements Counter, if the Store does.
func (e *foreignEngine) Count(ctx context.Context, now time.Time) (int, error) {
	c, ok := e.outer.(Counter)
	if !ok {
		return 0, fmt.Errorf("%w: %T has no method Count: add it, see session.Counter", errors.ErrUnsupported, e.outer)
	}
	return c.Count(ctx, now)
}

func (e *foreignEngine) Encode(v txn.View, ch *txn.Changes) ([]byte, error) {
	if v == nil {
		return codec.Gob.Marshal(ch.Apply(nil))
	}
	b, err := v.(*foreignView).Encode()
	if err != nil || ch.Empty() {
		return b, err
	}
	data, err := GobDecoder(b)
	if err != nil {
		return nil, fmt.Errorf("encode: changes can't be added to the Store's own encoding: %w", err)
	}
	return codec.Gob.Marshal(ch.Apply(txn.ValuesOf(data)))
}

// chooseID lets the session choose its new ID. The client is told when the session has
// been stored, not by this writer. If the record is gone later, the application itself
// has removed it, provided that it still exists now, or that nobody else could have
// ended it.
func (e *foreignEngine) chooseID(at *txn.Version, r *http.Request, length int) (string, error) {
	v := at.View.(*foreignView)
	if s, ok := v.Session.(interface{ setIDLength(int) }); ok {
		s.setIDLength(length)
	}
	left := e.outer.Exist(r.Context(), at.ID) || e.visits.alone(at.ID)
	if err := v.RegenerateID(unsent{}, r); err != nil {
		return "", fmt.Errorf("session: regenerate ID: %w", err)
	}
	v.left = left
	return v.ID(), nil
}

// unsent is a response that is never sent.
type unsent struct{}

func (unsent) Header() http.Header         { return http.Header{} }
func (unsent) Write(b []byte) (int, error) { return len(b), nil }
func (unsent) WriteHeader(int)             {}

// visits tracks whether requests of one session overlap in this process. Nothing else reveals
// who has destroyed a record: handlers written for v1.6.6 destroy the old one themselves when
// they call RegenerateID.
type visits struct {
	mu sync.Mutex
	at map[string]*guests
}

type guests struct {
	here, came int
	over       bool // this library has deleted the record: a sign-out, or a rotation
}

// enter is called for every request with a session.
func (e *foreignEngine) enter(id string) (leave func()) {
	v := &e.visits
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
	return func() { v.leave(id) }
}

func (v *visits) leave(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.at[id].here--; v.at[id].here == 0 {
		delete(v.at, id)
	}
}

// alone reports whether no other request overlapped.
func (v *visits) alone(id string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.at[id] == nil || v.at[id].came == 1
}

// end tells the requests in progress that the session is over under this ID.
func (v *visits) end(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if g := v.at[id]; g != nil {
		g.over = true
	}
}

func (v *visits) ended(id string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.at[id] != nil && v.at[id].over
}
