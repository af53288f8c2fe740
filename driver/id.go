package driver

const (
	// MinIDLength is the least number of characters in an ID; most have 32.
	MinIDLength = 3
	// MaxIDLength is the most, and what a backend's key must hold.
	MaxIDLength = 128
)

// ValidID tells whether a string may be the ID of a record: MinIDLength to
// MaxIDLength characters of [0-9a-z]. A backend has no need to ask before it does
// what a method is for, but may meet keys that are no session's when it counts or
// sweeps.
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
