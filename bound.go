package session

import "context"

// boundStore is the Store that handlers get: it knows which session the request
// is about, and ends, reads and saves that one as the request sees it.
type boundStore struct {
	Store
	req *request
}

// Destroy ends the request's own session as the function Destroy does, with the
// response. Any other is deleted at once.
func (b *boundStore) Destroy(ctx context.Context, sid string) error {
	s := &b.req.live
	s.mu.Lock()
	own, moving := s.id != "" && sid == s.id, s.newID != ""
	if moving {
		own = sid == s.newID
	}
	left := moving && sid == s.id
	s.mu.Unlock()
	switch {
	case own:
		s.part()
		return nil
	case left:
		return nil // RegenerateID: the old ID ends when the session moves.
	}
	return b.Store.Destroy(ctx, sid)
}

// Exist knows the request's own session by its ID also where the client keeps it.
func (b *boundStore) Exist(ctx context.Context, sid string) bool {
	if b.req.m.store.inClient && b.own(sid) {
		b.req.live.mu.Lock()
		defer b.req.live.mu.Unlock()
		return b.req.live.stored
	}
	return b.Store.Exist(ctx, sid)
}

// Read returns the request's own session itself.
func (b *boundStore) Read(ctx context.Context, sid string) (Session, error) {
	if b.own(sid) {
		return &b.req.live, nil
	}
	return b.Store.Read(ctx, sid)
}

// Save stores the request's own session now.
func (b *boundStore) Save(ctx context.Context, sess Session) error {
	if sess == Session(&b.req.live) {
		return b.req.commitNow(ctx)
	}
	return b.Store.Save(ctx, sess)
}

func (b *boundStore) own(sid string) bool {
	s := &b.req.live
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newID != "" {
		return sid == s.newID
	}
	return s.id != "" && sid == s.id
}
