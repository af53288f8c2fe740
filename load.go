package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// load finds the session of the request, and returns its flash. A client that
// hangs up does not stop it: drivers close a connection whose query is cancelled, so
// a flood of aborted requests would leave the pool without any.
func (q *request) load() (flash any, err error) {
	s := q.m.store
	ctx, cancel := q.m.deadline(context.WithoutCancel(q.r.Context()))
	defer cancel()

	// 1. Only an ID that the store holds is a session (G8).
	value, snap, err := q.find(ctx)
	if err != nil {
		return nil, fmt.Errorf("session: load: %w", err)
	}
	if q.by == nil {
		return nil, nil
	}
	id := value
	if snap.sealed != nil {
		id = snap.sealed.id // The value was the whole session.
	}

	// 2. Whoever removes the flash from the record has it (G5).
	snap, flash, taken, err := q.takeFlash(ctx, id, snap)
	if errors.Is(err, ErrNotFound) {
		q.gone()
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("session: load: flash: %w", err)
	}

	// 3. Slide the expiry, unless it is far enough (G9).
	terms := snap.terms()
	if !taken && !s.fresh(snap.expiry, terms, s.now()) {
		snap, err = s.slide(ctx, id, snap, s.expiry(s.now(), terms))
		if errors.Is(err, ErrNotFound) {
			q.gone()
			return nil, nil
		}
		if err != nil {
			q.m.report(fmt.Errorf("session: touch: %w", err)) // The session is good all the same.
		}
		terms = snap.terms() // Another request may have just changed them.
	}

	q.live.id, q.live.base, q.live.stored = id, snap, true
	q.live.used = taken
	q.told, q.came, q.age = q.live.value(), value, terms.cookieAge()
	q.due = s.due(terms, q.by.maxAge(q.age))
	q.by.greet(q.w, q.r, q.told)
	if q.told != value { // The client has to keep what has changed just now.
		q.tells = taken
		q.by.write(q.w, q.r, q.told, q.age)
	}
	return flash, nil
}

// gone is for a session that was there a moment ago. It has moved or ended, so that
// nothing may take its place.
func (q *request) gone() { q.by, q.live.revoked = nil, true }

// mostValues bounds how many IDs of one request are looked up.
const mostValues = 8

// find loads the live session that the request names. Of several transports the
// first one with a live ID counts. Several live IDs in cookies of the same name are
// no session: another host of the domain has set one, and nobody can tell which.
func (q *request) find(ctx context.Context) (value string, snap snapshot, err error) {
	looked := 0
	for _, c := range q.m.carriers {
		values := c.read(q.r, q.values[:0])
		for i, v := range values {
			// Only what looks like an ID gets as far as the store (G13).
			if !q.m.store.names(v, q.m.leastID) || slices.Contains(values[:i], v) || looked == mostValues {
				continue
			}
			looked++
			found, err := q.m.store.find(ctx, v)
			switch {
			case err == nil && !q.belongs(found):
				continue
			case err == nil && q.by != nil:
				q.by = nil
				q.m.report(fmt.Errorf("session: load: %s came with two live sessions, so neither counts: a Cookie.Name that starts with __Host- keeps other hosts of the domain from setting it", c.way()))
				return "", snapshot{}, nil
			case err == nil:
				q.by, value, snap = c, v, found
			case isDecodeError(err):
				q.m.reportRecord(err)
			case !errors.Is(err, ErrNotFound):
				return "", snapshot{}, err
			default:
				q.stale = v
			}
		}
		if q.by != nil {
			break
		}
	}
	return value, snap, nil
}

// belongs tells whether the record was made for this cookie or header. Records of
// v1.6.6 do not say.
func (q *request) belongs(snap snapshot) bool {
	if q.mark == "" {
		return true
	}
	place := snap.terms().place
	return place == q.mark || place == "" && !q.strict
}
