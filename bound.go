package session

import "context"

// boundStore is the Store that handlers get. It knows the request's own session, and
// ends, reads and saves it as the request sees it.
type boundStore struct {
	Store
	req *request
}

// Destroy ends the request's own session with the response, as the function Destroy
// does. Any other session is deleted at once.
func (b *boundStore) Destroy(ctx context.Context, sid string) error {
	switch own, left, _ := b.req.live.txn.Is(sid); {
	case own:
		b.req.live.txn.Part()
		return nil
	case left:
		return nil // RegenerateID: the old ID ends when the session moves.
	}
	return b.Store.Destroy(ctx, sid)
}

// Exist knows the request's own session by its ID even if the client keeps it.
func (b *boundStore) Exist(ctx context.Context, sid string) bool {
	if own, _, saved := b.req.live.txn.Is(sid); own && b.req.m.core.Traits.Client {
		return saved
	}
	return b.Store.Exist(ctx, sid)
}

// Read returns the request's own session itself.
func (b *boundStore) Read(ctx context.Context, sid string) (Session, error) {
	if own, _, _ := b.req.live.txn.Is(sid); own {
		return &b.req.live, nil
	}
	return b.Store.Read(ctx, sid)
}

// Save stores the request's own session now.
func (b *boundStore) Save(ctx context.Context, sess Session) error {
	if sess == Session(&b.req.live) {
		return b.req.commit(ctx)
	}
	return b.Store.Save(ctx, sess)
}
