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
	session.Evicted:     "the session ended, since there were too many of this user",
	session.Expired:     "a browser came back after its session had expired",
	session.UnknownID:   "a browser sent an ID that no session has",
	session.MalformedID: "a browser sent something that is no ID",
	session.Undecodable: "a stored session could not be read",
	session.Conflict:    "a change met another one, and both were kept",
	session.StoreError:  "the store failed",
}

func describe(e session.Event) string {
	switch {
	case e.Kind == session.Ended && e.By == "manager":
		return "the session was ended from elsewhere"
	case e.Kind == session.Ended:
		return "the session was ended in its own browser"
	}
	return whatHappened[e.Kind]
}

// eventLine is how the line of an event begins.
const eventLine = "Event: "

// observe prints events. The page with both servers shows what they have printed.
func observe(_ context.Context, e session.Event) {
	what, who := describe(e), e.Owner
	if what == "" {
		return
	}
	if who == "" {
		who = "a visitor"
	}
	fmt.Println(eventLine + who + ": " + what)
}

// event is something that has happened on a server, so many times in a row.
type event struct {
	At           time.Time
	Server, What string
	Times        int
}

// keepEvents is how many lines the page shows.
const keepEvents = 12

// eventLog has the latest events of both servers, the last one first. Its methods may be
// called concurrently.
type eventLog struct {
	mu     sync.Mutex
	latest []event
}

func (l *eventLog) add(server, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := event{At: time.Now(), Server: server, What: what, Times: 1}
	for i, earlier := range l.latest[:min(2, len(l.latest))] { // Those of two servers may alternate.
		if earlier.Server == server && earlier.What == what {
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
