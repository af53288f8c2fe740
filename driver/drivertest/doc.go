// Package drivertest tests backends. It is for authors of backends.
//
// Backend checks what a session.Backend promises, one call at a time and with calls
// that race. A Suite checks the library's guarantees on top of it, over real HTTP, with
// several servers that share the store. Processes checks those about concurrency and
// crashes with servers in processes of their own. Each failure names the rule that was
// broken and says why it matters.
package drivertest
