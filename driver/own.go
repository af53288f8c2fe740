package driver

// The library keeps records of its own, such as the list of an owner's sessions, beside the
// sessions. Their IDs have this length, and begin with this prefix, with which no ID of a
// session begins that is as long.
const (
	OwnIDLength = 53
	OwnIDPrefix = "y"
)

// OwnID reports whether the record under the ID is the library's own, and no session.
func OwnID(id string) bool { return len(id) == OwnIDLength && id[:1] == OwnIDPrefix }
