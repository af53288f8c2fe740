package session

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/flamego/session/internal/txn"
)

// EventKind is a kind of Event.
type EventKind int

// The kinds of events.
const (
	// Began: a session was stored for the first time.
	Began = EventKind(txn.Began)
	// Loaded: a request came with a live session.
	Loaded = EventKind(txn.Loaded)
	// Rotated: a session got a new ID, by RegenerateID or SetOwner. If the visitor had a
	// session before, this is the event of a sign-in; otherwise it is Began with an Owner.
	Rotated = EventKind(txn.Rotated)
	// Renewed: a session got a new ID because of Options.RenewEvery.
	Renewed = EventKind(txn.Renewed)
	// Ended: a session was ended, by whom the field By says.
	Ended = EventKind(txn.Ended)
	// Evicted: a session was ended by Options.MaxPerOwner. There is no Ended for it.
	Evicted = EventKind(txn.Evicted)
	// Expired: a request came with the ID of an expired session whose record is still there.
	// Once the record is removed, such a request is an UnknownID.
	Expired = EventKind(txn.Expired)
	// UnknownID: a request came with an ID that the store does not have. Usually the session
	// was ended elsewhere, evicted or has expired, and the browser still has its cookie. Many
	// different IDs from one address mean that somebody is guessing.
	UnknownID = EventKind(txn.UnknownID)
	// MalformedID: a request came with a value that cannot be an ID.
	MalformedID = EventKind(txn.MalformedID)
	// Undecodable: a request came with the ID of a record that cannot be decoded.
	Undecodable = EventKind(txn.Undecodable)
	// StoreCall: a store call succeeded, or found nothing.
	StoreCall = EventKind(txn.StoreCall)
	// Conflict: a compare-and-swap failed, because another request was first. The library
	// retries.
	Conflict = EventKind(txn.Conflict)
	// StoreError: a store call failed.
	StoreError = EventKind(txn.StoreError)
)

var eventNames = [...]string{
	Began: "began", Loaded: "loaded", Rotated: "rotated", Renewed: "renewed", Ended: "ended", Evicted: "evicted",
	Expired: "expired", UnknownID: "unknown_id", MalformedID: "malformed_id", Undecodable: "undecodable",
	StoreCall: "store_call", Conflict: "conflict", StoreError: "store_error",
}

// String returns the name in lower case, such as "unknown_id", for logs and labels.
func (k EventKind) String() string {
	if k < 0 || int(k) >= len(eventNames) {
		return fmt.Sprintf("EventKind(%d)", int(k))
	}
	return eventNames[k]
}

// Event is something that happened to a session or in the store. Fields that do not apply are
// zero.
type Event struct {
	Kind EventKind
	// Session identifies the session in logs. It is a hash of the ID, the same on all servers.
	// The ID cannot be derived from it, and no storage contains the same hash. It changes with
	// the ID.
	Session string
	// Previous is the value of Session before the session was Rotated or Renewed.
	Previous string
	// Owner is the owner given to SetOwner, if the session at hand has one.
	Owner string
	// By tells who ended a session: "request" for Destroy and Store.Destroy, "manager" for
	// End, EndAll and MaxPerOwner.
	By string
	// Op is the store call: "load", "load many", "create", "replace", "move", "touch",
	// "delete" or "sweep".
	Op string
	// Duration is how long the call took.
	Duration time.Duration
	// Err is what the call returned. ErrNotFound and ErrExists are answers, not failures.
	Err error
}

// eventOf converts an event of the core.
func eventOf(e txn.Event) Event {
	return Event{
		Kind: EventKind(e.Kind), Session: eventHash(e.ID), Previous: eventHash(e.Previous), Owner: e.Owner,
		By: e.By, Op: e.Op, Duration: e.Duration, Err: e.Err,
	}
}

func eventHash(id string) string {
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("session event " + id))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
}

// Stats counts events by kind, since this Manager's Store was opened. The counters only grow,
// and count whether or not Options.Observe is set.
type Stats struct {
	Began, Loaded, Rotated, Renewed, Ended, Evicted, Expired int64
	UnknownIDs, MalformedIDs, Undecodable                    int64
	Conflicts, StoreErrors                                   int64
}

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
