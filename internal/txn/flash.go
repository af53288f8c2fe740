package txn

import "slices"

// Flashes are several flashes under the one key. The type tells them from a single
// flash that happens to be a slice.
type Flashes []any

// FlashList returns the value of the flash key as a list.
func FlashList(val any) Flashes {
	switch v := val.(type) {
	case nil:
		return nil
	case Flashes:
		return v
	}
	return Flashes{val}
}

// Join makes a new list: those in a session do not change.
func Join(a, b Flashes) Flashes {
	return append(append(make(Flashes, 0, len(a)+len(b)), a...), b...)
}

// AddFlash adds a flash to the list. What is added to the same commit is one change, or many
// of them would each copy the list.
func (s *Session) AddFlash(val any) {
	s.mu.Lock()
	grown := s.life.pending.growFlashes(val)
	if grown {
		s.edit()
	}
	s.mu.Unlock()
	if !grown {
		tail := Flashes{val}
		s.update(FlashKey, adds(tail), tail)
	}
}

func adds(tail Flashes) func(any) any {
	return func(old any) any { return Join(FlashList(old), tail) }
}

// growFlashes adds to the flashes that AddFlash has begun to add, if it has.
func (c *Changes) growFlashes(val any) bool {
	ch := c.find(FlashKey)
	if ch == nil || ch.tail == nil {
		return false
	}
	ch.tail, ch.val = append(ch.tail, val), append(ch.val.(Flashes), val)
	if n := len(ch.updates); n > 0 {
		ch.updates = slices.Clone(ch.updates) // A commit under way may be reading it.
		ch.updates[n-1] = adds(ch.tail)
	}
	return true
}

// dropFlashes takes the flashes out of the changes that are being committed: they may
// have been stored, and somebody may have taken them since, after which the record can
// look as it did before. A flash is shown at most once (G5).
func (s *Session) dropFlashes(p *plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch := p.life.inflight; ch != nil {
		ch.index = nil
		ch.list = slices.DeleteFunc(slices.Clone(ch.list), func(c change) bool { return c.key == FlashKey && c.val != nil })
	}
}
