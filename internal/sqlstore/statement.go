package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// statement is one SQL text, prepared at first use: the server may be down when the
// application starts.
type statement struct {
	db       *sql.DB
	text     string
	asText   bool
	prepared atomic.Pointer[sql.Stmt]
}

// prepare returns the prepared statement, which database/sql prepares again on each
// connection.
func (s *statement) prepare(ctx context.Context) (*sql.Stmt, error) {
	if p := s.prepared.Load(); p != nil {
		return p, nil
	}
	p, err := s.db.PrepareContext(ctx, s.text)
	if err != nil {
		return nil, err
	}
	if !s.prepared.CompareAndSwap(nil, p) {
		_ = p.Close() // Another goroutine was faster.
		return s.prepared.Load(), nil
	}
	return p, nil
}

// scan runs a statement that returns one row, or sql.ErrNoRows.
func (s *statement) scan(ctx context.Context, arg any, dest ...any) error {
	if s.asText {
		return s.db.QueryRowContext(ctx, s.text, arg).Scan(dest...)
	}
	p, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	return p.QueryRowContext(ctx, arg).Scan(dest...)
}

// exec returns how many rows the statement affected.
func (s *statement) exec(ctx context.Context, args []any) (int64, error) {
	var res sql.Result
	var err error
	if s.asText {
		res, err = s.db.ExecContext(ctx, s.text, args...)
	} else {
		var p *sql.Stmt
		if p, err = s.prepare(ctx); err == nil {
			res, err = p.ExecContext(ctx, args...)
		}
	}
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (s *statement) close() error {
	if p := s.prepared.Load(); p != nil {
		return p.Close()
	}
	return nil
}

// maxPause bounds the time between two tries. It is short because a lock that is polled
// goes to whoever polls most often.
const maxPause = 50 * time.Millisecond

// Retry calls do until it returns something other than a Busy error, or until the context
// ends. The pauses between the calls are random, so that two callers do not collide
// again, and grow from 1 ms to at most 50 ms.
func Retry(ctx context.Context, class func(error) Class, do func() error) error {
	for bound := time.Millisecond; ; bound = min(2*bound, maxPause) {
		err := do()
		if err == nil || class(err) != Busy {
			return withCause(ctx, err)
		}
		t := time.NewTimer(time.Duration(1 + rand.Int64N(int64(bound))))
		select {
		case <-ctx.Done():
			t.Stop()
			return withCause(ctx, err)
		case <-t.C:
		}
	}
}

// withCause makes an error say that the context ended, which drivers report in their own
// words.
func withCause(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w: %w", ctx.Err(), err)
}
