package txn

import "fmt"

// A request may take longer than its session may be idle. Whatever it began in time is
// stored: an expired record is there until it is swept, and compare-and-swap tells whether
// anybody has changed, moved or ended the session meanwhile. Once the record is gone, nothing
// can tell that any more, and the commit fails.

// ErrOutlived is the ErrEnded of a commit whose session may have ended by itself.
var ErrOutlived = fmt.Errorf("%w: the request took longer than the session's idle timeout, and the record is gone, so what was set is lost: make Config.Lifetime longer, or call session.Refresh in time", ErrEnded)

// outlives reports whether an expired session goes on with a commit of this request, which
// has loaded it in time. One that does not keep it alive has no claim to that.
func (s *Session) outlives(v *Version) bool {
	return !s.still && !s.store.isOver(v.terms, s.store.Now())
}

// gone says how a session has ended that is not there any more.
func (s *Session) gone(at *Version) error {
	if s.outlives(at) && s.store.expired(at, s.store.Now()) {
		return ErrOutlived
	}
	return ErrEnded
}
