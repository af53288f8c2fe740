package txn

import (
	"errors"
	"fmt"
)

// ErrTooLarge says that a session would be larger than Store.MaxSize.
var ErrTooLarge = errors.New("session: too large")

// fits refuses changes that make a session larger than it may be, or larger still. What
// memory keeps, though nobody can encode it, cannot be measured.
func (s *Store) fits(at *Version, ch *Changes) error {
	if s.MaxSize == 0 {
		return nil
	}
	size := s.size(at.View, ch)
	if size <= s.MaxSize || at != unstored && size <= s.size(at.View, &Changes{}) {
		return nil
	}
	largest, most := any(nil), 0
	for _, c := range ch.list {
		if n := s.size(nil, (&Changes{}).With(c.key, c.val)); n > most {
			largest, most = c.key, n
		}
	}
	return fmt.Errorf("%w: it would have %d bytes, and Options.MaxSize allows %d: store less in it, the most was set under the key %.64q", ErrTooLarge, size, s.MaxSize, fmt.Sprint(largest))
}

func (s *Store) size(v View, ch *Changes) int {
	b, _ := s.Engine.Encode(v, ch)
	return len(b)
}
