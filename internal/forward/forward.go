// Package forward says what a rotation leaves under the old ID.
//
// A rotation leaves a forward: a record under an ID derived from the old one, which
// names the new one. It is stored before the session moves, for two purposes.
//
// A request that signs out may know only the old ID. Its Delete of the old record
// either comes before the move, which then conflicts, or finds the forward, and deletes
// the session that it names as well.
//
// A request that arrives with the old ID finds no session. What it sets must not go
// into a new session, whose cookie would replace that of the one that moved.
//
// A renewal, which is a rotation by time, leaves a forward that also has a salt. The new
// ID is derived from the old one and the salt, so requests that still bring the old ID
// find the session for a while. Nobody else can: the storage has the salt, not the IDs.
//
// Any other forward never signs anybody in, and no client can present its ID as a session: a
// stolen or planted old ID is worth nothing.
package forward

import (
	"crypto/hkdf"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/sessionid"
)

const (
	// For is how long a forward lasts.
	For = 5 * time.Minute
	// recentFor is how long the changes of a request with the old ID are dropped, or after
	// a renewal, its client is not told the new ID. After that, a client that did not get
	// the response to the rotation can start again.
	recentFor = 10 * time.Second
)

// IsRecent reports whether a forward that lasts until the expiry was left a moment ago.
func IsRecent(expiry, now time.Time) bool { return expiry.Sub(now) > For-recentFor }

// ID is that of the forward of a session which was under this one.
func ID(old string) string { return sessionid.Own("forward " + old) }

// RenewedID is the ID of a session that is renewed under a salt of the same length.
func RenewedID(old, salt string) string {
	b, err := hkdf.Key(sha256.New, []byte(old), []byte(salt), "renewed session ID", len(salt))
	if err != nil {
		panic("session: renew: " + err.Error()) // A salt has 128 characters at most.
	}
	return sessionid.Letters(b)
}

// Target is where a session may have moved.
type Target struct{ ID, Salt string } // The salt is that of a renewal, or "".

const saltMark = "~"

// Word is how a forward says it.
func (t Target) Word() string {
	if t.Salt == "" {
		return t.ID
	}
	return t.ID + saltMark + t.Salt
}

// EndMark is the word that says that the session was ended under the old ID. It is no ID.
const EndMark = "-"

// Add returns the text of a forward with the word. Racing rotations of the same session add
// one each.
func Add(text, word string) string {
	words := strings.Fields(text)
	if slices.Contains(words, word) {
		return text
	}
	return strings.Join(append(words, word), " ")
}

// Forward is what a forward says.
type Forward struct {
	To    []Target
	Ended bool // under the old ID
}

// Parse leaves out what is no ID: who can write to the storage can write anything.
func Parse(text string) (f Forward) {
	for word := range strings.FieldsSeq(text) {
		id, salt, renewed := strings.Cut(word, saltMark)
		f.Ended = f.Ended || word == EndMark
		if driver.ValidID(id) && (!renewed || driver.ValidID(salt)) {
			f.To = append(f.To, Target{id, salt})
		}
	}
	return f
}

// Trail are the IDs that a session has had, each twice at most: a session may move to an ID
// after that was looked at, but somebody who can write to the storage may have made forwards
// that lead in a circle.
type Trail struct {
	IDs  []string
	seen map[string]int
}

// Follow adds where the session may have moved from one of the IDs.
func (t *Trail) Follow(f Forward) {
	if t.seen == nil && len(f.To) > 0 {
		t.seen = map[string]int{t.IDs[0]: 1}
	}
	for _, to := range f.To {
		if t.seen[to.ID] < 2 {
			t.seen[to.ID]++
			t.IDs = append(t.IDs, to.ID)
		}
	}
}
