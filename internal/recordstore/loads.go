package recordstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/share"
)

// loads lets loads of concurrent requests share round trips.
type loads struct {
	backend driver.LoadSharer
	calls   *share.Calls[string, loaded]
}

type loaded struct {
	record driver.Record
	found  bool
	err    error
}

func newLoads(b driver.LoadSharer) *loads {
	l := &loads{backend: b}
	l.calls = share.New(l.alone, l.together)
	return l
}

func (l *loads) alone(ctx context.Context, id string) loaded {
	r, err := l.backend.Load(ctx, id)
	return loaded{r, err == nil, err}
}

func (l *loads) together(ctx context.Context, ids []string) []loaded {
	records, err := l.backend.LoadMany(ctx, ids)
	if err != nil {
		return nil
	}
	all := make([]loaded, len(ids))
	for i, id := range ids {
		all[i].record, all[i].found = records[id]
	}
	return all
}

// load returns a record as it was at some time after load was called.
func (l *loads) load(ctx context.Context, id string) (driver.Record, error) {
	one, err := l.calls.Do(ctx, id)
	switch {
	case err != nil && !errors.Is(err, share.ErrNoAnswer):
		return driver.Record{}, fmt.Errorf("wait for other loads: %w", err)
	case err != nil || !one.found && one.err == nil:
		// Load says why. All may have failed for another request, or its record.
		one = l.alone(ctx, id)
	}
	return one.record, one.err
}
