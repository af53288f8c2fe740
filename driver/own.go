package driver

// The library keeps records of its own beside the sessions, such as the list of an owner's
// sessions. Their IDs have this length and begin with this prefix. No session has an ID of
// that length with that prefix.
const (
	OwnIDLength = 53
	OwnIDPrefix = "y"
)

// OwnID reports whether the record under the ID is the library's own, not a session.
func OwnID(id string) bool { return len(id) == OwnIDLength && id[:1] == OwnIDPrefix }
