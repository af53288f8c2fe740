package driver

const (
	// MinIDLength is the minimum number of characters in an ID; most IDs have 32.
	MinIDLength = 3
	// MaxIDLength is the maximum; a backend's key must hold that many.
	MaxIDLength = 128
)

// ValidID reports whether a string can be the ID of a record: MinIDLength to MaxIDLength
// characters of [0-9a-z]. Backends need not check the IDs that they receive, but when they
// count or sweep they may find keys that are not sessions.
func ValidID(id string) bool {
	if len(id) < MinIDLength || len(id) > MaxIDLength {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
