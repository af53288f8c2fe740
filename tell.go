package session

import (
	"fmt"
	"net/http"
)

// tell lets the client know which session it has now.
func (q *request) tell() {
	q.header.Lock()
	defer q.header.Unlock()
	q.tellLocked()
}

func (q *request) tellLocked() {
	defer q.guard()
	s, h := &q.live, q.w.Header()
	s.mu.Lock()
	value, stored, lost, used, age := s.value(), s.stored, s.lost, s.used, s.base.terms().cookieAge()
	refresh := s.refresh && !q.started()
	s.lost, s.refresh = false, false
	told, toldAge := q.told, q.age
	if stored {
		q.told, q.age = value, age
	} else {
		q.told = ""
	}
	s.mu.Unlock()
	switch {
	case stored && (value != told || age != toldAge):
		q.tells, q.due = true, false
		q.carrier().write(q.w, q.r, value, age)
	case !stored && told != "" && lost: // The client may hold the cookie of a newer session by now.
		q.came, q.due = "", false
		q.carrier().withdraw(h)
	case !stored && told != "":
		q.tells, q.due = true, false
		q.carrier().remove(q.w, q.r)
	case stored && refresh:
		q.came, q.due = "", false
		q.carrier().write(q.w, q.r, value, age)
		if _, ok := h["Cache-Control"]; !ok {
			noStore(h)
		}
	case stored && q.told != q.came && !q.tells && isPublic(h):
		// The client keeps the session, and can keep the one that it has: it slid, but
		// a cache would hand it to everybody.
		q.carrier().withdraw(h)
	}
	if used {
		for _, c := range q.m.carriers {
			if on := c.vary(); on != "" {
				vary(h, on)
			}
		}
	}
}

// retell is for a failure that comes after something was stored, by a Commit or by
// another Manager: that is good, and the client could not find it without its ID.
func (q *request) retell(w http.ResponseWriter) {
	defer func() {
		if p := recover(); p != nil { // Options.WriteIDFunc: the 500 must go out all the same.
			q.m.report(fmt.Errorf("session: write ID: panic: %v", p))
		}
	}()
	for p := q; p != nil; {
		switch {
		case !p.tells && p.told == p.came:
		case p.told != "":
			p.carrier().write(w, p.r, p.told, p.age)
		default: // Destroyed. Where the client keeps the session, it must let go of it.
			p.carrier().remove(w, p.r)
		}
		if p = p.beside; p == q {
			break
		}
	}
}

// guard keeps IDs out of caches and Referer headers, whatever the handler thinks:
// that in the header, and those in URLs, be it the URL of the request, also if a
// cookie came first, those that the handler made, or those in the page of a new
// visitor.
func (q *request) guard() {
	if q.tells {
		noStore(q.w.Header())
	}
	q.live.mu.Lock()
	linked := q.live.linked
	q.live.mu.Unlock()
	for _, c := range q.m.carriers {
		if qc := asQuery(c); qc != nil && (linked || q.by == nil && q.told != "" || len(qc.read(q.r, nil)) > 0) {
			private(q.w.Header())
		}
	}
}
