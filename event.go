package session

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
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
	// Rotated: a session got a new ID, by RegenerateID or SetOwner. So this is a sign-in,
	// if the visitor had a session before; otherwise it is Began with an Owner.
	Rotated = EventKind(txn.Rotated)
	// Renewed: a session got a new ID because of Options.RenewEvery.
	Renewed = EventKind(txn.Renewed)
	// Ended: a session was ended. By says by whom.
	Ended = EventKind(txn.Ended)
	// Evicted: a session ended because of Options.MaxPerOwner. No Ended comes with it.
	Evicted = EventKind(txn.Evicted)
	// Expired: a request came with the ID of a session that has expired, but was not
	// swept yet. Once swept, it is an UnknownID.
	Expired = EventKind(txn.Expired)
	// UnknownID: a request came with an ID that the store does not have: that of a session
	// that was ended elsewhere, expired or evicted, whose browser still has the cookie. Many
	// different ones from one address mean that somebody is guessing.
	UnknownID = EventKind(txn.UnknownID)
	// MalformedID: a request came with something that cannot be an ID.
	MalformedID = EventKind(txn.MalformedID)
	// Undecodable: a request came with the ID of a record that cannot be decoded.
	Undecodable = EventKind(txn.Undecodable)
	// StoreCall: a call of the store that did its work, or found nothing.
	StoreCall = EventKind(txn.StoreCall)
	// Conflict: a call of the store that found that another request was first. The
	// library tries again.
	Conflict = EventKind(txn.Conflict)
	// StoreError: a call of the store that failed.
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

// Event is something that happened to a session or in the store. What does not apply
// is zero.
type Event struct {
	Kind EventKind
	// Session names the session in logs. It is a hash of the ID, the same on all
	// servers: nobody can get back to the ID, and no storage has the same hash. It
	// changes when the ID does.
	Session string
	// Previous was the session's name before it was Rotated or Renewed.
	Previous string
	// Owner is that of SetOwner, if the session at hand has one.
	Owner string
	// By is who ended a session: "request" for Destroy and Store.Destroy, "manager" for
	// End, EndAll and MaxPerOwner.
	By string
	// Op is the call of the store: "load", "load many", "create", "replace", "move",
	// "touch", "delete" or "sweep".
	Op string
	// Duration is how long that call took.
	Duration time.Duration
	// Err is what the call returned. ErrNotFound and ErrExists are answers, not failures.
	Err error
}

// eventOf makes an Event of the core's.
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

// Stats are what has happened in this Manager's Store since it was opened, by kind of event:
// counters that only grow. They are counted whether or not Options.Observe is set.
type Stats struct {
	Began, Loaded, Rotated, Renewed, Ended, Evicted, Expired int64
	UnknownIDs, MalformedIDs, Undecodable                    int64
	Conflicts, StoreErrors                                   int64
}
