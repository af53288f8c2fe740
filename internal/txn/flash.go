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

// dropFlashes takes the flashes out of the changes that are being committed: they may
// have been stored, and somebody may have taken them since, after which the record can
// look as it did before. A flash is shown at most once (G5).
func (s *Session) dropFlashes(p *plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch := p.life.inflight; ch != nil {
		ch.list = slices.DeleteFunc(slices.Clone(ch.list), func(c change) bool { return c.key == FlashKey && c.val != nil })
	}
}
