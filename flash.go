package session

import (
	"context"
	"errors"
)

// Flash is the value that the session's previous request left with SetFlash, or
// nil. A handler takes it as a parameter. Of all requests that arrive at the same
// time, on whatever server, at most one gets it.
//
// To hand it on under a type of your own, see first that it is not nil: with
// MapTo(nil, …) Flamego takes some other service for it.
type Flash interface{}

const flashKey = "flamego::session::flash"

// onlyFlash is the change that takes the flash out.
var onlyFlash = &changes{list: []change{{key: flashKey, deleted: true}}}

func (q *request) takeFlash(ctx context.Context, id string, snap snapshot) (_ snapshot, flash any, taken bool, err error) {
	flash, ok := snap.get(flashKey)
	if !ok {
		return snap, nil, false, nil
	}
	s := q.m.store
	var turn turn
	defer turn.end()
	for {
		next, err := s.replace(ctx, id, snap, onlyFlash, s.expiry(s.now(), snap.terms()))
		if err == nil {
			return next, flash, true, nil
		}
		if !errors.Is(err, ErrConflict) {
			return snap, nil, false, err
		}
		if snap, err = turn.next(ctx, s, id); err != nil {
			return snap, nil, false, err
		}
		if flash, ok = snap.get(flashKey); !ok {
			return snap, nil, false, nil
		}
	}
}
