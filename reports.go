package session

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/flamego/session/internal/txn"
)

// reportEvery is the interval at which ErrorFunc gets errors that a client can cause with
// every request, and the default log gets errors of an outage.
const reportEvery = time.Minute

// reports counts suppressed reports, by subject.
type reports struct {
	mu  sync.Mutex
	all map[string]*unreported
}

type unreported struct {
	since time.Time // the last report
	n     int       // how many there have been since
}

// next reports whether a report is due, and how many were suppressed before it.
func (r *reports) next(about string, now time.Time) (before int, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.all[about]
	switch {
	case u == nil:
		if r.all == nil {
			r.all = make(map[string]*unreported)
		}
		r.all[about] = &unreported{since: now}
		return 0, true
	case now.Sub(u.since) < reportEvery:
		u.n++
		return 0, false
	}
	before, *u = u.n, unreported{since: now}
	return before, true
}

// some reports whether an error is due, and adds how many were suppressed since the last one.
func (r *reports) some(about string, now time.Time, err error) (_ error, due bool) {
	before, due := r.next(about, now)
	if before > 0 {
		err = fmt.Errorf("%w (and %d more since the last report)", err, before)
	}
	return err, due
}

// reportSome is report for errors that a client can cause with every request: once a minute.
func (q *request) reportSome(about string, err error) {
	if err, due := q.m.reports.some(about, q.m.core.Now(), err); due {
		q.report(err)
	}
}

// reportFailure reports why the changes of a request could not be stored.
func (q *request) reportFailure(err error) {
	for _, limit := range []error{ErrTooLarge, ErrTooMany, txn.ErrOutlived} {
		if errors.Is(err, limit) {
			q.reportSome(limit.Error(), err)
			return
		}
	}
	q.report(err)
}
