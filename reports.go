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

// some reports whether an error is due, and adds how many were suppressed since the last one.
func (r *reports) some(about string, now time.Time, err error) (_ error, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.all[about]
	switch {
	case u == nil && r.all == nil:
		r.all = make(map[string]*unreported)
	case u != nil && now.Sub(u.since) < reportEvery:
		u.n++
		return err, false
	case u != nil && u.n > 0:
		err = fmt.Errorf("%w (and %d more since the last report)", err, u.n)
	}
	r.all[about] = &unreported{since: now}
	return err, true
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
