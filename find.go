package session

import (
	"errors"
	"fmt"
	"slices"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/carry"
	"github.com/flamego/session/internal/txn"
)

// mostValues is the maximum number of IDs that are looked up per request.
const mostValues = 8

// brought are the IDs that a request brings.
type brought struct {
	n   int
	by  [mostValues]*carry.Carrier
	all [mostValues]txn.Found
}

// gather reads the IDs, each once. Only well-formed IDs reach the store (G13).
func (q *request) gather(b *brought, within *onDemand) {
	malformed := false
	for _, c := range q.m.carriers {
		for _, value := range c.Read(q.x.r, q.vary[:0]) {
			switch {
			case b.n == mostValues: // A megabyte of cookies must not cost more than reading it.
				return
			case !q.m.core.Engine.Valid(value, q.m.leastID):
				if value != "" && !malformed {
					malformed = true
					q.m.core.Emit(within.context(), txn.Event{Kind: txn.MalformedID})
				}
			case !slices.ContainsFunc(b.all[:b.n], func(f txn.Found) bool { return f.ID == value }):
				b.by[b.n], b.all[b.n].ID = c, value
				b.n++
			}
		}
	}
}

// find loads the live session that the request brings. The first transport with a live ID
// counts. If there are several live IDs in cookies of the same name, none counts: another host
// of the domain has set one, and it is impossible to tell which.
func (q *request) find(within *onDemand) (token txn.Token, v *txn.Version, err error) {
	var b brought
	switch q.gather(&b, within); b.n {
	case 0:
		return "", nil, nil
	case 1:
		b.all[0].Version, b.all[0].Err = q.m.core.Find(within.context(), b.all[0].ID)
	default:
		all := slices.Clone(b.all[:b.n]) // What every request has stays on the stack.
		if err := q.m.core.FindAll(within.context(), all); err != nil {
			return "", nil, err
		}
		copy(b.all[:], all)
	}
	for i := range b.n {
		c, value := b.by[i], b.all[i].ID
		if q.by != nil && q.by != c {
			break
		}
		found, err := b.all[i].Version, b.all[i].Err
		switch {
		case err == nil && !q.belongs(found):
		case err == nil && q.by != nil && found.ID == v.ID && !q.m.core.Traits.Client:
			if value == found.ID { // The other one is from before a renewal, in a cookie of another path.
				token, v = txn.Token(value), found
			}
		case err == nil && q.by != nil:
			q.by = nil
			q.reportSome("two live sessions", fmt.Errorf("session: load: %s came with two live sessions, so neither counts: a Cookie.Name that starts with __Host- keeps other hosts of the domain from setting it", c.Name))
			return "", nil, nil
		case err == nil:
			q.by, token, v = c, txn.Token(value), found
		default:
			if err := q.missed(within, b.all[i]); err != nil {
				return "", nil, err
			}
		}
	}
	return token, v, nil
}

// missed records an ID that leads to no session. err is the store's error.
func (q *request) missed(within *onDemand, f txn.Found) error {
	switch {
	case errors.Is(f.Err, driver.ErrUnreadable):
		q.m.core.Emit(within.context(), txn.Event{Kind: txn.Undecodable, ID: f.ID, Err: f.Err})
		q.reportRecord(f.Err)
		return nil
	case !errors.Is(f.Err, ErrNotFound):
		return f.Err
	}
	kind := txn.UnknownID
	if errors.Is(f.Err, txn.ErrExpired) {
		kind = txn.Expired
	}
	q.m.core.Emit(within.context(), txn.Event{Kind: kind, ID: f.ID})
	q.live.txn.Stale(f)
	q.m.checkRival(q.x.r, f.ID)
	return nil
}

// belongs reports whether the record was made for this cookie or header. Records of v1.6.6 do
// not name a place.
func (q *request) belongs(v *txn.Version) bool {
	place := v.Place()
	return place == q.m.at || place == "" && !(q.placed && q.as.extra)
}
