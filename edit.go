package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/txn"
)

var (
	errEditCreates = errors.New("session: edit: what was set after Destroy is not stored: Edit creates no session")
	errEditRotates = errors.New("session: regenerate ID: Edit has no client that could be told the new ID: call it in a request of the session")
)

// Edit changes a session from outside of its requests, such as to put a new role into
// it, or to end it. fn gets the session as it is stored; what it changes is stored when
// it returns, rebased on what requests have stored meanwhile. It may use every function
// of this package, such as Update and AddFlash.
//
// The visitor is not thought to have been there: the session does not live any longer,
// unless fn changes that with SetLifetime or Remember, which then count from now. The
// flash is left alone. Edit never creates a session: fn may call Destroy, but what it
// sets after that is an error. RegenerateID is an error, since no client could be told.
//
// ErrNotFound means that there is no such session, or none with an ID like this, or that
// it is for another cookie or header. ErrEnded means that it ended, or moved to a new
// ID, while Edit worked: nothing was stored. An error of fn is returned wrapped, and
// nothing is stored. Any other error means that the store may or may not have done it.
//
// The context bounds the wait for the store, and so does Options.StoreTimeout, once to
// load the session and once to store it. Edit may be called concurrently, also in a
// request of the same session.
//
// With package cookie, Edit is an error: the clients keep their sessions. With a Store
// of your own, requests and Edits merge within one process, an end between the Store's
// Exist and Save is not noticed, and Save itself decides whether the expiry slides.
func (m *Manager) Edit(ctx context.Context, id string, fn func(Session) error) error {
	if m.core.Traits.Client {
		return fmt.Errorf("session: edit: %w", errInClient)
	}
	v, err := m.findForEdit(ctx, id)
	if err != nil {
		return fmt.Errorf("session: edit: %w", err)
	}
	l := &live{store: m.store, outside: true}
	l.txn.New(m.core, m.store)
	l.txn.Begin(v)
	l.txn.Still()
	l.txn.Abandon() // As after a response: nobody can be told anything.
	if err := fn(l); err != nil {
		return fmt.Errorf("session: edit: %w", err)
	}
	if !l.txn.Changed() {
		return nil
	}
	if err := ctx.Err(); err != nil { // A store that never waits does not look.
		return fmt.Errorf("session: edit: %w", err)
	}
	ctx, cancel := m.deadline(ctx)
	defer cancel()
	switch err := l.txn.Commit(ctx); {
	case errors.Is(err, txn.ErrLate):
		return errEditCreates
	case err != nil:
		return fmt.Errorf("session: edit: %w", err)
	}
	return nil
}

func (m *Manager) findForEdit(ctx context.Context, id string) (txn.Version, error) {
	if err := ctx.Err(); err != nil {
		return txn.Version{}, err
	}
	if !m.core.Engine.Valid(id, driver.MinIDLength) {
		return txn.Version{}, ErrNotFound
	}
	ctx, cancel := m.deadline(ctx)
	defer cancel()
	v, err := m.core.Find(ctx, id)
	if err == nil && m.store.Place() != "" && v.Place() != "" && v.Place() != m.at {
		err = ErrNotFound
	}
	return v, err
}

// Refresh loads the session again, so that a WebSocket or a long stream sees what other
// requests have stored since, and keeps it alive as a request does. Call it from time to
// time, and at least once in the session's idle timeout: see Expires. What this request
// has changed and not yet stored stays, and Updates run again on what was loaded. The
// flash is left to the next request. A passive request does not keep the session alive
// by it either: see Options.Passive.
//
// ErrEnded means that the session has ended or moved to a new ID: say goodbye to the
// client. Any other error means that the store could not be asked, and the session is
// as it was: try again. Without a session Refresh does nothing.
//
// It waits until the context ends, but no longer than Options.StoreTimeout. It may be
// called concurrently. With package cookie it is an error: the client has the only copy.
// It does nothing to a Session from outside this library.
func Refresh(ctx context.Context, s Session) error {
	l, ok := s.(*live)
	if !ok {
		return nil
	}
	ctx, cancel, err := l.reach(ctx)
	if err != nil {
		return fmt.Errorf("session: refresh: %w", err)
	}
	defer cancel()
	if err := l.txn.Refresh(ctx); err != nil {
		return fmt.Errorf("session: refresh: %w", err)
	}
	return nil
}

// Take removes a key for good, and returns the value if it is of type T. Of all requests
// that ask for it at the same time, on any server, exactly one gets it: for one-time
// codes and invitations, which Pop could hand out twice. If there is no such key, or
// another request has taken it, or it holds another type, Take returns false.
//
// It stores the session now, as Commit does, with what is pending first: if that fails,
// nothing is taken. The value is returned only when its removal is certainly stored.
// After an error nobody else gets it twice either: it may still be there, or it may be
// lost. ErrEnded means that the session has ended.
//
// A value that is set again can be taken again, so hand out a code only when the
// Commit, or the response, that stores it has succeeded. Take sees the session as this
// request does: what another has set since is there after Refresh.
//
// It waits until the context ends, but no longer than Options.StoreTimeout. It may be
// called concurrently. With package cookie it is an error, since a client can present
// an old copy again, and so it is with a Session from outside this library. With a
// Store of your own it holds within one process.
func Take[T any](ctx context.Context, s Session, key any) (T, bool, error) {
	var none T
	l, ok := s.(*live)
	if !ok {
		return none, false, fmt.Errorf("session: take: a %T can't promise that nobody else gets the value: use the Session of the middleware", s)
	}
	l.use()
	ctx, cancel, err := l.reach(ctx)
	if err != nil {
		return none, false, fmt.Errorf("session: take: %w", err)
	}
	defer cancel()
	val, err := l.txn.Take(ctx, key, func(val any) bool { _, ok := val.(T); return ok })
	if err != nil {
		return none, false, fmt.Errorf("session: take: %w", err)
	}
	v, ok := val.(T)
	return v, ok, nil
}

var errOnlyCopy = errors.New("the client keeps the session, and has the only copy, or several: use a store on the server")

// reach bounds a wait for the store, if that can be asked at all.
func (l *live) reach(ctx context.Context) (context.Context, context.CancelFunc, error) {
	switch {
	case l.store.core.Traits.Client:
		return nil, nil, errOnlyCopy
	case l.req == nil:
		return ctx, func() {}, nil
	case l.req.x.closed.Load():
		return nil, nil, errors.New("the request has failed, so nothing more is stored")
	}
	ctx, cancel := l.req.m.deadline(ctx)
	return ctx, cancel, nil
}
