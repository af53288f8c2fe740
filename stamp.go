package session

// stamp adds what the library itself has to say to what is going to be written. It
// needs mu.
func (s *liveSession) stamp(ch *changes) {
	t, now := ch.terms(s.base), s.store.now().UnixMilli()
	if !s.store.dated(t) {
		ch.set(createdKey, now)
	}
	if s.stored && s.newID == "" && ch.empty() && !s.refresh {
		return // Nothing is going to be written.
	}
	if mark := s.mark(); mark != "" && t.place == "" {
		ch.set(placeKey, mark)
	}
	if s.sends(t) {
		ch.set(sentKey, now)
	}
}

// mark is what the record says about where it belongs, or "".
func (s *liveSession) mark() string {
	if s.req != nil {
		return s.req.mark
	}
	if _, ok := s.store.engine.(*recordEngine); ok && s.store.place != (place{}) {
		return s.store.place.String()
	}
	return ""
}

// sends tells whether a commit now comes with a persistent cookie. It needs mu.
func (s *liveSession) sends(t terms) bool {
	q := s.req
	if q == nil || s.late || q.carrier().maxAge(t.cookieAge()) == 0 {
		return false
	}
	return !s.stored || s.newID != "" || s.refresh || s.store.inClient || t.cookieAge() != q.age
}
