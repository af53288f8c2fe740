package driver

const (
	// MinIDLength is the least number of characters in an ID; most IDs have 32.
	MinIDLength = 3
	// MaxIDLength is the most; a backend's key must hold that many.
	MaxIDLength = 128
)

// ValidID reports whether a string may be the ID of a record: MinIDLength to
// MaxIDLength characters of [0-9a-z]. Backends need not check the IDs they get, but may
// find keys that are not sessions when they count or sweep.
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
