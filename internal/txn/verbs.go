package txn

import (
	"fmt"
	"reflect"
)

// Get returns the value of a key as this transaction sees it, or nil.
func (s *Session) Get(key any) any {
	val, at, _ := s.held(key)
	val, _ = s.store.decoded(s.host.Context(), at, key, val)
	return val
}

func (s *Session) held(key any) (val any, at *Version, edits int) {
	s.mu.Lock()
	defer s.mu.Unlock() // Go panics for a key that cannot be compared.
	val, _ = s.life.get(key)
	return val, s.life.at, s.edits
}

func (l *life) get(key any) (any, bool) {
	if val, known := l.pending.get(key); known {
		return val, val != nil
	}
	if l.inflight != nil {
		if val, known := l.inflight.get(key); known {
			return val, val != nil
		}
	}
	if l.at.View == nil {
		return nil, false
	}
	return l.at.View.Get(key)
}

// Set sets a key. If it is one of the library's own, the next commit returns an error,
// since Set cannot.
func (s *Session) Set(key, val any) {
	if !s.refuses(key) {
		s.SetOwn(key, val)
	}
}

// SetOwn sets any key.
func (s *Session) SetOwn(key, val any) {
	mustCompare(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.edit().Set(key, val)
}

// Delete deletes a key, as Set sets one.
func (s *Session) Delete(key any) {
	if !s.refuses(key) {
		s.DeleteOwn(key)
	}
}

// DeleteOwn deletes any key.
func (s *Session) DeleteOwn(key any) {
	mustCompare(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.life
	// Where there is a record, another request may have set the key since it was loaded.
	untouched := l.pending.find(key) == nil && (l.inflight == nil || l.inflight.find(key) == nil)
	if _, ok := l.get(key); !ok && untouched && l.phase < stored {
		s.changed = true
		return // Nothing to delete, nothing to store.
	}
	s.edit().Delete(key)
}

// Flush deletes all keys.
func (s *Session) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.edit().Flush()
}

// edit returns the changes, to add another one. It needs mu.
func (s *Session) edit() *Changes {
	s.changed = true
	s.edits++
	return s.life.changes()
}

func (l *life) changes() *Changes {
	if l.pending == nil {
		l.pending = newChanges()
	}
	return l.pending
}

func (s *Session) refuses(key any) bool {
	if !isOwn(key) {
		return false
	}
	s.refuse(ownKeyError(key))
	return true
}

// refuse makes every commit of this life fail.
func (s *Session) refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed, s.life.refused = true, err
}

func mustCompare(key any) {
	if _, ok := key.(string); ok {
		return
	}
	if key != nil && !reflect.ValueOf(key).Comparable() {
		panic(fmt.Sprintf("session: Set: a key of type %T can't be compared: use a string", key))
	}
}

// Update sets a key to fn of its value, and returns that. fn runs without a lock, since
// it may use the session; if the value changes meanwhile, or another transaction commits
// first, it runs again. If the value cannot be decoded, fn does not run, and the next
// commit fails.
func (s *Session) Update(key any, fn func(any) any) any { return s.update(key, fn, nil) }

// update is Update. If fn puts flashes at the end of a list, tail are these.
func (s *Session) update(key any, fn func(any) any, tail Flashes) any {
	mustCompare(key)
	if s.refuses(key) {
		return s.Get(key)
	}
	for range mostUpdates {
		was, at, edits := s.held(key)
		old, err := s.store.toUpdate(s.host.Context(), at, key, was)
		if err != nil {
			s.refuse(fmt.Errorf("session: update: %w", err))
			return nil
		}

		val := fn(old)

		s.mu.Lock()
		now, _ := s.life.get(key)
		if s.edits == edits || reflect.DeepEqual(now, was) {
			ch := s.edit()
			ch.update(key, fn, val)
			ch.find(key).tail = tail
			s.mu.Unlock()
			return val
		}
		s.mu.Unlock()
	}
	panic(fmt.Sprintf("session: Update: the function changes the key %s itself: return the new value instead", KeyName(key)))
}
