package postgres

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flamego/session/internal/share"
)

// execs lets statements that write share a round trip, and with it a transaction: they
// also share what a commit costs the server.
type execs = share.Calls[exec, outcome]

func newExecs(n native) *execs {
	return share.New(
		func(ctx context.Context, e exec) outcome { return e.alone(ctx, n) },
		func(ctx context.Context, all []exec) []outcome { return together(ctx, n.pool, all) },
	)
}

// exec is one such statement.
type exec struct {
	text string
	args []any
}

type outcome struct {
	n      int64 // how many rows it affected
	err    error
	undone bool // nothing was done for anybody, since one of them failed
}

func (e exec) alone(ctx context.Context, n native) outcome {
	var tag pgconn.CommandTag
	err := n.do(func(o option) (err error) {
		tag, err = n.pool.Exec(ctx, e.text, o.and(e.args...)...)
		return err
	})
	return outcome{n: tag.RowsAffected(), err: err}
}

// key is the ID of the row that the statement locks.
func (e exec) key() (key string) {
	for _, arg := range e.args {
		if text, ok := arg.(string); ok {
			key = text // The last one: what comes before is where a row moves.
		}
	}
	return key
}

// limitWaits has a transaction fail when it has waited for a row for 100 ms. Usually another
// commit has the row, for much less. It may be an administrator, for minutes: then only the
// statement for that row has to wait on, by itself.
const limitWaits = "SELECT set_config('lock_timeout', '100', true)"

// together runs statements in one transaction. They lock their rows in the order of the
// IDs, so that those of two servers do not wait for each other in a circle.
func together(ctx context.Context, pool *pgxpool.Pool, all []exec) []outcome {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(all[i].key(), all[j].key()) })
	batch := &pgx.Batch{}
	batch.Queue(limitWaits)
	for _, i := range order {
		batch.Queue(all[i].text, all[i].args...)
	}
	results := pool.SendBatch(ctx, batch)
	outcomes := make([]outcome, len(all))
	_, err := results.Exec()
	for _, i := range order {
		var tag pgconn.CommandTag
		if err != nil {
			break
		}
		tag, err = results.Exec()
		outcomes[i].n = tag.RowsAffected()
	}
	if end := results.Close(); err == nil { // It is stored now, and not before.
		err = end
	}
	if err != nil {
		var answer *pgconn.PgError
		undone := errors.As(err, &answer) && answer.SeverityUnlocalized == "ERROR"
		for i := range outcomes {
			outcomes[i] = outcome{err: err, undone: undone}
		}
	}
	return outcomes
}

func (s statement) Exec(ctx context.Context, args ...any) (int64, error) {
	e := exec{s.text, args}
	if !share.IsPatient(ctx) || !s.shares() {
		o := e.alone(ctx, s.native)
		return o.n, o.err
	}
	o, err := s.execs.Do(ctx, e)
	switch {
	case err != nil:
		return 0, err
	case o.undone:
		s.adapt(o.err)
		o = e.alone(ctx, s.native)
	}
	return o.n, o.err
}
