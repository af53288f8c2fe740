package txn

import (
	"context"
	"errors"

	"github.com/flamego/session/driver"
)

// Found is what there is under an ID that a client has presented.
type Found struct {
	ID      string
	Version *Version // as Find returns it
	Err     error

	looked  bool     // for the forward, which is there if it is not nil
	forward *Version // of a dead ID
	next    *Found   // a dead ID that the same request brought
}

// Find loads a session that has not expired, or returns ErrNotFound. If the session has
// been renewed a while ago, it is found by its old ID as well. With ErrExpired comes what is
// still there.
func (s *Store) Find(ctx context.Context, id string) (*Version, error) {
	f := Found{ID: id}
	s.find(ctx, &f)
	return f.Version, f.Err
}

func (s *Store) find(ctx context.Context, f *Found) {
	v, err := s.load(ctx, f.ID)
	s.judge(f, v, err)
	s.renewed(ctx, f)
}

// FindAll is Find for all IDs that a request brings. Whoever makes up many costs no more
// round trips than with two, if the engine can load several at a time. An error means that
// the store failed.
func (s *Store) FindAll(ctx context.Context, all []Found) error {
	if _, ok := s.Engine.(ManyLoader); !ok {
		for i := range all {
			s.find(ctx, &all[i])
		}
		return nil
	}
	ids, forwards := make([]string, len(all)), make([]string, 0, len(all))
	for i := range all {
		ids[i] = all[i].ID
	}
	found, err := s.loadMany(ctx, ids)
	if err != nil {
		return err
	}
	for i := range all {
		f := &all[i]
		v, ok := found[f.ID]
		switch {
		case !ok:
			err = driver.ErrNotFound
		case v.View == nil:
			v, err = s.load(ctx, f.ID) // Which says why it cannot be read.
		default:
			err = nil
		}
		if s.judge(f, v, err); f.isDead() {
			forwards = append(forwards, s.forwardID(f.ID))
		}
	}
	if s.RenewEvery == 0 || len(forwards) == 0 {
		return nil
	}
	if found, err = s.loadMany(ctx, forwards); err != nil {
		return err
	}
	for i := range all {
		if f := &all[i]; f.isDead() {
			f.looked, f.forward = true, found[s.forwardID(f.ID)]
			s.renewed(ctx, f)
		}
	}
	return nil
}

// judge notes what was loaded under the ID.
func (s *Store) judge(f *Found, v *Version, err error) {
	now := s.Now()
	switch {
	case err == nil && v.terms.isNote:
		v, err = nil, driver.ErrNotFound
	case err == nil && s.expired(v, now):
		err = ErrExpired
	case err == nil:
		v.due = !s.isFresh(v, now)
	default:
		v = nil
	}
	f.Version, f.Err = v, err
}

// isDead reports whether there is nothing under the ID itself.
func (f *Found) isDead() bool { return f.Version == nil && errors.Is(f.Err, driver.ErrNotFound) }

// renewed looks where a session is that has been renewed.
func (s *Store) renewed(ctx context.Context, f *Found) {
	if s.RenewEvery > 0 && f.isDead() {
		f.Version, f.Err = s.findRenewed(ctx, f)
	}
}

// loadMany loads the records that there are, in one round trip if the engine can. Those that
// cannot be read have no View, or are left out.
func (s *Store) loadMany(ctx context.Context, ids []string) (map[string]*Version, error) {
	if e, ok := s.Engine.(ManyLoader); ok && len(ids) > 1 {
		begin := s.clock()
		found, err := e.LoadMany(ctx, ids)
		s.called(ctx, "load many", begin, err)
		for _, v := range found {
			v.terms = termsOf(v.View)
		}
		return found, err
	}
	found := make(map[string]*Version, len(ids))
	for _, id := range ids {
		v, err := s.load(ctx, id)
		switch {
		case err == nil, errors.Is(err, driver.ErrUnreadable) && v != nil:
			found[id] = v
		case !errors.Is(err, driver.ErrNotFound) && !errors.Is(err, driver.ErrUnreadable):
			return nil, err
		}
	}
	return found, nil
}
