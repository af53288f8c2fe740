// Package clockhook lets the conformance suite set the clock of a Manager,
// without a field for it in public options.
package clockhook

import "time"

// Set sets the clock of a *session.Options. Package session provides it.
var Set func(options any, now func() time.Time)
