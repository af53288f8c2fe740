package filestore

// What the tests with a whole server need of the others.
const (
	TestID  = testID
	OtherID = otherID
	Settles = settles
)

var (
	OpenTest    = open
	PathOf      = pathOf
	Hostiles    = hostiles
	Within      = within
	WriteLegacy = writeLegacy
)
