// Package benchmarks measures sessions on real servers, and fails when a figure
// is out of bounds. It is a module of its own, so that `go test ./...` in the
// library stays fast.
package benchmarks
