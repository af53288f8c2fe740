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

// Pool runs statements on connections of its own.
type Pool interface {
	// Run executes a text once.
	Run(ctx context.Context, text string) error
	// Statement returns a statement that is used again and again. The server may be
	// down at the time.
	Statement(text string) Statement
}

// Statement is one text, prepared as the driver likes.
type Statement interface {
	// Scan runs a statement that returns one row, or sql.ErrNoRows.
	Scan(ctx context.Context, arg any, dest ...any) error
	// Each runs a statement that returns any number of rows, and calls row for each.
	Each(ctx context.Context, args []any, row func(scan func(dest ...any) error) error) error
	// Exec returns how many rows the statement affected.
	Exec(ctx context.Context, args ...any) (int64, error)
	Close() error
}

// DB returns the Pool of a *sql.DB.
func DB(db *sql.DB) Pool { return pool{db} }

type pool struct{ db *sql.DB }

func (p pool) Run(ctx context.Context, text string) error {
	_, err := p.db.ExecContext(ctx, text)
	return err
}

func (p pool) Statement(text string) Statement { return &statement{db: p.db, text: text} }

// statement is prepared when it is first needed.
type statement struct {
	db       *sql.DB
	text     string
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

func (s *statement) Scan(ctx context.Context, arg any, dest ...any) error {
	p, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	return p.QueryRowContext(ctx, arg).Scan(dest...)
}

func (s *statement) Each(ctx context.Context, args []any, row func(scan func(dest ...any) error) error) error {
	p, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	rows, err := p.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // If it matters, it is rows.Err.
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *statement) Exec(ctx context.Context, args ...any) (int64, error) {
	p, err := s.prepare(ctx)
	if err != nil {
		return 0, err
	}
	res, err := p.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (s *statement) Close() error {
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
