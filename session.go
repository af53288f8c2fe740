package session

import "net/http"

// Session is a session for the current request. The one that the library
// injects may be used by many goroutines of the request at once. Values are to
// be treated as unchangeable: whoever wants to change one sets a new one, or
// uses Update.
//
// This interface never grows, since applications implement it. Further
// abilities are functions of this package: Get, Pop, Update, Destroy, Commit,
// SetLifetime, Remember, URL.
type Session interface {
	// ID returns the session ID. Asking a session that is not stored yet makes the
	// ID final, and has the session stored at the end of the request, even if
	// nothing is set.
	ID() string
	// RegenerateID gives the session a new ID, under which it is stored with the
	// response; the old one then is no session any more, on every server. To be
	// called whenever the rights of a user change, above all at sign-in (OWASP ASVS
	// 5.0 7.2.4). It returns an error once the response has started, since the
	// client could not be told.
	RegenerateID(w http.ResponseWriter, r *http.Request) error
	// Get returns the value of given key in the session. It returns nil if no such
	// key exists.
	Get(key interface{}) interface{}
	// Set sets the value of given key in the session. It panics if the key is of a
	// type that cannot be compared, as a map does. Keys that start with
	// "flamego::session::" are the library's own: what it keeps there can be neither
	// set nor deleted, and a commit after such a try fails.
	Set(key, val interface{})
	// SetFlash sets the flash to be the given value in the session. The next
	// request of the session gets it as session.Flash, and no other.
	SetFlash(val interface{})
	// Delete deletes a key from the session.
	Delete(key interface{})
	// Flush wipes out all existing data in the session. The session itself stays;
	// to end it, use Destroy.
	Flush()
	// Encode encodes session data to binary.
	Encode() ([]byte, error)
	// HasChanged returns whether the session has changed.
	HasChanged() bool
}
