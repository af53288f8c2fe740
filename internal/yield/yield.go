// Package yield lets requests that are ready to run go first, before one of them starts
// what they could share.
package yield

import (
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// tooLong is how long the others may take. They need microseconds until they wait for
	// something themselves, but one that computes keeps the processor for 10 ms.
	tooLong = 5 * time.Millisecond
	// share is the part of the time that may be lost to those.
	share = 100
)

// Yield is for all goroutines that could share something. The zero value is ready to use,
// also concurrently.
type Yield struct {
	next atomic.Pointer[time.Time] // when to try again, or nil

	gosched func()           // for a test
	now     func() time.Time // for a test
}

// Do lets other goroutines run, unless that has taken too long lately.
func (y *Yield) Do() {
	gosched, now := runtime.Gosched, time.Now
	if y.gosched != nil {
		gosched, now = y.gosched, y.now
	}
	begin := now()
	if next := y.next.Load(); next != nil && begin.Before(*next) {
		return
	}
	gosched()
	if end := now(); end.Sub(begin) > tooLong {
		next := end.Add(share * end.Sub(begin))
		y.next.Store(&next)
	}
}
