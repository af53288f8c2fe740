package session

import (
	"context"
	"fmt"
)

// Get returns the value of given key if it is of type T. Otherwise, also when
// there is no such key, it returns the zero value and false. It may be called
// concurrently, on any Session.
func Get[T any](s Session, key interface{}) (T, bool) {
	v, ok := s.Get(key).(T)
	return v, ok
}

// Pop is Get, and deletes the key if it held a T. Of two requests at the same
// time both may get the value: what must be seen once only belongs in a flash.
func Pop[T any](s Session, key interface{}) (T, bool) {
	v, ok := Get[T](s, key)
	if ok {
		s.Delete(key)
	}
	return v, ok
}

// Update sets the value of given key to what fn makes of the present one, or of
// the zero value if the key is missing or holds another type. It is atomic
// across requests and servers: when another request commits first, fn runs
// again, on the value which that one left. So fn must have no side effects, and
// must not change its argument in place, and must not call Commit.
//
// It returns the new value as this request sees it. It may be called
// concurrently; on a Session that is not of this library it is Get and Set.
func Update[T any](s Session, key interface{}, fn func(T) T) T {
	step := func(old any) any {
		v, _ := old.(T)
		return fn(v)
	}
	if live, ok := s.(*liveSession); ok {
		v, _ := live.update(key, step).(T)
		return v
	}
	v, _ := step(s.Get(key)).(T)
	s.Set(key, v)
	return v
}

// Destroy ends the session, as at sign-out: with the response its record is
// deleted and its cookie removed. If the record cannot be deleted the client
// gets 500. A request that still works on the session somewhere cannot bring it
// back (OWASP ASVS 5.0 7.4.1). What is set after Destroy goes into a new session
// with a new ID. A Session that is not of this library is flushed.
func Destroy(s Session) {
	if live, ok := s.(*liveSession); ok {
		live.destroy()
		return
	}
	s.Flush()
}

// Commit stores the session now, instead of at the first byte of the response:
// before a WebSocket takes over the connection, or in the middle of a long
// stream. It waits for the context, but no longer than Options.StoreTimeout. An
// error means that the changes are not stored; they are tried again with the
// response, unless it is ErrEnded, which says that they have nowhere to go. A
// store that fails may have done its work all the same: an Update that is tried
// again then counts twice, and a flash is dropped rather than shown twice.
//
// Before the response starts it sets the cookie if there is a new ID, and must
// then be called from the goroutine of the handler. A Session that is not of
// this library is left alone.
func Commit(ctx context.Context, s Session) error {
	live, ok := s.(*liveSession)
	switch {
	case !ok:
		return nil
	case live.req != nil:
		return live.req.commitNow(ctx)
	case live.store.inClient:
		return fmt.Errorf("session: commit: %w", errInClient)
	default:
		return live.commit(ctx)
	}
}
