package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/flamego/session"
)

// whatHappened has the events that are worth a line. Those of every request, such as the
// calls of the store, are for metrics.
var whatHappened = map[session.EventKind]string{
	session.Began:       "a session began",
	session.Rotated:     "the session got a new ID",
	session.Renewed:     "the session got a new ID, as it does now and then",
	session.Ended:       "the session was ended in its own browser",
	session.Evicted:     "the session ended, since there were too many of this user",
	session.Expired:     "a browser came back after its session had expired",
	session.UnknownID:   "a browser sent an ID that no session has",
	session.MalformedID: "a browser sent something that is no ID",
	session.Undecodable: "a stored session could not be read",
	session.Conflict:    "a change met another one, and was made again on top of it",
	session.StoreError:  "the store failed",
}

// describe returns "" for events that are worth no line.
func describe(e session.Event) string {
	what, who := whatHappened[e.Kind], e.Owner
	if e.Kind == session.Ended && e.By == "manager" {
		what = "the session was ended from elsewhere"
	}
	if who == "" {
		who = "a visitor"
	}
	if what == "" {
		return ""
	}
	return who + ": " + what
}

// eventLine is how the line of an event begins.
const eventLine = "Event: "

// observe prints events. The page with both servers shows what they have printed.
func observe(_ context.Context, e session.Event) {
	if what := describe(e); what != "" {
		fmt.Println(eventLine + what)
	}
}

// event is something that has happened on a server or this page, so many times in a row.
type event struct {
	At          time.Time
	Where, What string
	Times       int
}

// keepEvents is how many lines the page shows.
const keepEvents = 12

// eventLog has the latest events, the last one first. Its methods may be
// called concurrently.
type eventLog struct {
	mu     sync.Mutex
	latest []event
}

func (l *eventLog) add(where, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := event{At: time.Now(), Where: where, What: what, Times: 1}
	for i, earlier := range l.latest[:min(2, len(l.latest))] { // Those of two servers may alternate.
		if earlier.Where == where && earlier.What == what {
			e.Times += earlier.Times
			l.latest = slices.Delete(l.latest, i, i+1)
			break
		}
	}
	l.latest = slices.Insert(l.latest, 0, e)
	l.latest = l.latest[:min(keepEvents, len(l.latest))]
}

func (l *eventLog) list() []event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.latest)
}
