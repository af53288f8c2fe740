package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

// event is a line of the page of events.
type event struct {
	Number  int // counts up
	At      time.Time
	Area    string // which of the two Managers it comes from
	Who     string // empty for a visitor
	What    string
	Session string // names it, without giving the ID away
}

// whatHappened has the events that are worth a line. Those of every request, such as the
// calls of the store, are for metrics.
var whatHappened = map[session.EventKind]string{
	session.Began:       "A session began",
	session.Rotated:     "The session got a new ID",
	session.Renewed:     "The session got a new ID, as it does now and then",
	session.Evicted:     "The session ended, since there were too many of this user",
	session.Expired:     "A browser came back after its session had expired",
	session.UnknownID:   "A browser sent an ID that no session has",
	session.MalformedID: "A browser sent something that is no ID",
	session.Undecodable: "A stored session could not be read",
	session.Conflict:    "Two requests met, and one of them tried again",
	session.StoreError:  "The store failed",
}

func describe(e session.Event) string {
	switch {
	case e.Kind == session.Ended && e.By == "manager":
		return "The session was ended from elsewhere"
	case e.Kind == session.Ended:
		return "The session was ended in its own browser"
	}
	return whatHappened[e.Kind]
}

// keepEvents is how many events the page shows.
const keepEvents = 50

// eventLog has the latest events. Its methods may be called concurrently.
type eventLog struct {
	mu      sync.Mutex
	last    int
	latest  []event
	changed chan struct{} // closed, and replaced, by the next event
	closed  chan struct{}
	close   func() // lets the streams end
}

func newEventLog() *eventLog {
	l := &eventLog{changed: make(chan struct{}), closed: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.closed) })
	return l
}

// observe returns what Options.Observe takes. A request waits for it, so it is quick.
func (l *eventLog) observe(area string) func(context.Context, session.Event) {
	return func(_ context.Context, e session.Event) {
		what := describe(e)
		if what == "" {
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.last++
		l.latest = append(l.latest, event{Number: l.last, At: time.Now(), Area: area, Who: e.Owner, What: what, Session: e.Session})
		if len(l.latest) > keepEvents {
			l.latest = slices.Delete(l.latest, 0, 1)
		}
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// after returns the events after the one with this number, and a channel that tells of
// the next.
func (l *eventLog) after(number int) ([]event, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := max(0, len(l.latest)-max(0, l.last-number))
	return slices.Clone(l.latest[i:]), l.changed
}

// eventsPage is what events.html shows, the latest first.
type eventsPage struct {
	Events []event
	Last   int
}

// showEvents is the only page with a script. Without scripts it has a link to itself.
func showEvents(l *eventLog, v *view) error {
	list, _ := l.after(0)
	p := eventsPage{Events: list}
	if len(list) > 0 {
		p.Last = list[len(list)-1].Number
	}
	slices.Reverse(p.Events)
	v.w.Header().Set("Content-Security-Policy", contentPolicy+"; script-src 'self'; connect-src 'self'")
	return v.show(http.StatusOK, "events", p)
}

const (
	streamPath = "/admin/events/stream"
	// lookAgain is how soon a stream notices an end of its sessions that is no event,
	// such as one by another program on the same store.
	lookAgain = 5 * time.Second
)

// streamEvents sends events as they happen, in the format of EventSource. It is not behind
// requireSignIn, whose redirect means nothing to a script.
func streamEvents(c flamego.Context, s session.Session, as adminSession, a *accounts, l *eventLog) error {
	w, r := c.ResponseWriter(), c.Request()
	if !inAdminArea(s, as, a) {
		w.WriteHeader(http.StatusNoContent) // Stops an EventSource from trying again.
		return nil
	}
	// The browser sends the header by itself when it connects again.
	last, err := strconv.Atoi(r.Header.Get("Last-Event-ID"))
	if err != nil {
		last, _ = strconv.Atoi(r.URL.Query().Get("after"))
	}
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = fmt.Fprint(w, "retry: 1000\n\n") // Come back a second after this stream has ended.
	for {
		list, changed := l.after(last)
		// Before anything is shown: the list may hold the end of this very session.
		switch err := errors.Join(session.Refresh(r.Context(), s), session.Refresh(r.Context(), as)); {
		case errors.Is(err, session.ErrEnded):
			return nil // Or it has a new ID, with which the browser comes back.
		case err == nil:
			for _, e := range list {
				if err := writeEvent(w, e); err != nil {
					return err
				}
				last = e.Number
			}
		default: // The store can't be asked. That is an event too, so don't wait for one.
			changed = nil
		}
		w.Flush()
		select {
		case <-changed:
		case <-time.After(lookAgain):
		case <-r.Context().Done():
			return nil
		case <-l.closed:
			return nil
		}
	}
}

// writeEvent sends the same line as the page has.
func writeEvent(w http.ResponseWriter, e event) error {
	var b bytes.Buffer
	if err := templates["events"].ExecuteTemplate(&b, "event", e); err != nil {
		return err
	}
	// An empty line would end the event.
	line := bytes.ReplaceAll(bytes.TrimSpace(b.Bytes()), []byte("\n"), []byte(" "))
	_, _ = fmt.Fprintf(w, "id: %d\ndata: %s\n\n", e.Number, line) // An error means that the client is gone.
	return nil
}
