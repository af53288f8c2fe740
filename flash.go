package session

// Flash is the value that the session's previous request left with SetFlash, or
// nil. A handler takes it as a parameter. It is delivered at most once: of all requests
// that arrive at the same time, on whatever server, one gets it, and a response that is
// lost takes it along.
//
// To hand it on under a type of your own, see first that it is not nil: with
// MapTo(nil, …) Flamego takes some other service for it.
type Flash interface{}
