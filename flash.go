package session

// Flash is the value that the session's previous request left with SetFlash, or nil. A
// handler takes it as a parameter. It is delivered at most once: of all requests that
// arrive at the same time, on any server, one gets it, and if that response is lost, so
// is the flash.
//
// Before you map it to a type of your own, check that it is not nil: for MapTo(nil, …)
// Flamego passes some other service.
type Flash interface{}
