package txn

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/owners"
)

// EndEverybody ends all sessions of the place; within bounds what is done with some of them.
// It looks twice: what gets a new ID while it looks may be missed the first time.
func (s *Store) EndEverybody(ctx context.Context, place string, within func(context.Context) (context.Context, context.CancelFunc)) error {
	var some []string
	end := func() error {
		ctx, cancel := within(ctx)
		defer cancel()
		defer func() { some = some[:0] }()
		return s.endSome(ctx, place, some)
	}
	for range 2 {
		for id, err := range IDs(ctx, s.Engine) {
			if err != nil {
				return err
			}
			if driver.OwnID(id) || !driver.ValidID(id) {
				continue
			}
			if some = append(some, id); len(some) == owners.AtOnce {
				if err := end(); err != nil {
					return err
				}
			}
		}
		if err := end(); err != nil {
			return err
		}
	}
	return nil
}

// endSome ends those of the sessions that belong to the place, and whatever else their owners
// have: that keeps the lists short, and refuses their sign-ins that have begun.
func (s *Store) endSome(ctx context.Context, place string, ids []string) error {
	found, err := s.loadMany(ctx, ids)
	if err != nil {
		return err
	}
	owners := make(map[string]bool)
	for _, v := range found {
		if v.View != nil && (v.terms.isNote || v.Place() != "" && v.Place() != place) {
			continue
		}
		if err := s.end(ctx, place, v); err != nil {
			return err
		}
		if !s.expired(v, s.Now()) {
			s.emitSession(ctx, Ended, byManager, v)
		}
		if owner := s.ownerOf(ctx, v); owner != "" {
			owners[owner] = true
		}
	}
	for owner := range owners {
		if err := s.EndAll(ctx, place, owner, nil); err != nil {
			return fmt.Errorf("owner: %w", err)
		}
	}
	return nil
}

// IDs yields those of all records of an Engine or Backend, or an error if it cannot list them.
func IDs(ctx context.Context, e any) iter.Seq2[string, error] {
	if l, ok := e.(driver.Lister); ok {
		return l.IDs(ctx)
	}
	return func(yield func(string, error) bool) {
		yield("", fmt.Errorf("%w: %T has no method IDs: add it, see session.Lister", errors.ErrUnsupported, e))
	}
}
