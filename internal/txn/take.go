package txn

import "context"

// Take commits what is pending, then removes a key by compare-and-swap, and returns its
// value. It returns the value only if the removal is certainly stored, so of all who
// take it exactly one gets it. A key that is missing, or whose value is not wanted, is
// left alone, and nil is returned.
//
// After an error the removal is not tried again with a later commit: nobody would get
// what that removes.
func (s *Session) Take(ctx context.Context, key any, wanted func(any) bool) (any, error) {
	mustCompare(key)
	if isOwn(key) {
		return nil, ownKeyError(key)
	}
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.committing.Unlock()
	// 1. What this request has done to the key comes first.
	if _, err := s.commit(ctx, false, false); err != nil {
		return nil, err
	}
	// 2. An Update runs again on each version that another request stores first, so the
	// value is the one that was there at the end.
	var taken any
	s.mu.Lock()
	at := s.life.at
	s.mu.Unlock()
	if at.View == nil {
		return nil, nil
	}
	old, _ := at.View.Get(key)
	old, err := s.store.decoded(ctx, at, key, old)
	if err != nil {
		return nil, err
	}
	p := s.planTake(key, at, old, func(old any) any {
		if taken = nil; old == nil || !wanted(old) {
			return old
		}
		taken = old
		return nil
	})
	if taken == nil {
		return nil, nil
	}
	at, err = s.run(ctx, &p)
	s.settle(&p, at, err)
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// planTake plans the removal alone, from the version that holds the old value. step runs
// once.
func (s *Session) planTake(key any, at *Version, old any, step func(any) any) (p plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.life
	if l.phase != stored && l.phase != moving || l.at != at {
		return p
	}
	l.inflight = newChanges()
	l.inflight.update(key, step, step(old))
	l.rebased = true // For what other goroutines have set since step 1.
	return plan{life: l, from: l.phase, at: l.at, id: l.id, changes: l.inflight, sealed: s.sealed, dropOnFailure: true}
}
