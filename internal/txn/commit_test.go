package txn_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/memstore"
	"github.com/flamego/session/internal/sessionid"
	"github.com/flamego/session/internal/txn"
)

type host struct{}

func (host) Context() context.Context  { return context.Background() }
func (host) NewID() string             { return sessionid.New(32) }
func (host) Place() string             { return "" }
func (host) Sends(bool, int, bool) int { return 0 }

// stopEngine calls stop in the middle of a Delete or Create.
type stopEngine struct {
	*memstore.Engine
	stop func()
}

func (e *stopEngine) halt() {
	if stop := e.stop; stop != nil {
		e.stop = nil
		stop()
	}
}

func (e *stopEngine) Delete(ctx context.Context, id string) error {
	e.halt()
	return e.Engine.Delete(ctx, id)
}

func (e *stopEngine) Create(ctx context.Context, id string, ch *txn.Changes, expiry time.Time) (*txn.Version, error) {
	e.halt()
	return e.Engine.Create(ctx, id, ch, expiry)
}

// TestDestroyBetweenTheSteps destroys the session in another goroutine, in the middle of
// a commit that deletes and creates. All its records have to go, including one that is
// stored afterwards (G6).
func TestDestroyBetweenTheSteps(t *testing.T) {
	for _, name := range []string{"delete", "create"} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			e := &stopEngine{Engine: memstore.New()}
			store := txn.NewStore(e, time.Hour)
			var s txn.Session
			s.New(store, host{})
			s.Set("k", 1)
			require.NoError(t, s.Commit(ctx))
			ids := []string{s.ID()}

			s.Destroy()
			s.Set("k", 2)
			other := func() {
				ids = append(ids, s.ID())
				s.Destroy()
				s.Set("k", 3)
			}
			if name == "delete" {
				e.stop = other
			} else {
				e.stop = func() { e.stop = other } // The delete comes first.
			}
			require.NoError(t, s.Commit(ctx))
			ids = append(ids, s.ID())
			require.NoError(t, s.Commit(ctx))
			v, err := store.Find(ctx, s.ID())
			require.NoError(t, err)
			val, _ := v.View.Get("k")
			assert.Equal(t, 3, val)

			s.Destroy()
			require.NoError(t, s.Commit(ctx))
			require.Len(t, ids, 3)
			for _, id := range ids {
				_, err := store.Find(ctx, id)
				assert.ErrorIs(t, err, driver.ErrNotFound, "a record of an ended session")
			}
		})
	}
}
