package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/flamego/session/internal/sqlstore"
)

// conns are connections of the library's own, used without database/sql. For a query whose
// context can end, database/sql and the driver each start a goroutine, and every value is
// copied; together that takes longer than SQLite itself.
//
// The driver gets no context here. It needs none: without a busy timeout, no statement
// waits in SQLite. The context ends the wait for a connection and the pauses of
// sqlstore.Retry.
type conns struct {
	open  func() (driver.Conn, error)
	free  chan *conn // closed by Close
	group group
	file  file
}

type conn struct {
	driver.Conn // nil until it is needed
	prepared    map[*statement]driver.Stmt
}

var errClosed = errors.New("the database is closed")

func newConns(dsn string, n int) (*conns, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	d := db.Driver()
	if err := db.Close(); err != nil {
		return nil, err
	}
	p := &conns{
		open: func() (driver.Conn, error) { return d.Open(dsn) },
		free: make(chan *conn, n),
	}
	for range n {
		p.free <- &conn{prepared: make(map[*statement]driver.Stmt)}
	}
	return p, nil
}

// do calls fn with a connection that nobody else uses meanwhile.
func (p *conns) do(ctx context.Context, fn func(*conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var c *conn
	select {
	case c = <-p.free:
	default:
		select {
		case c = <-p.free:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return p.with(c, fn)
}

// with calls fn with a connection that was taken, and puts it back.
func (p *conns) with(c *conn, fn func(*conn) error) error {
	if c == nil {
		return errClosed
	}
	defer func() { p.free <- c }()
	if err := p.file.check(); err != nil {
		return err
	}
	if c.Conn == nil {
		if err := c.connect(p.open); err != nil {
			return err
		}
	}
	return fn(c)
}

func (c *conn) connect(open func() (driver.Conn, error)) error {
	opened, err := open()
	if err != nil {
		return err
	}
	c.Conn = opened
	if err := c.run("PRAGMA busy_timeout = 0"); err != nil {
		c.Conn = nil
		return errors.Join(err, opened.Close())
	}
	return nil
}

func (c *conn) run(text string) error {
	s, err := c.Prepare(text)
	if err != nil {
		return err
	}
	_, err = s.(driver.StmtExecContext).ExecContext(context.Background(), nil)
	return errors.Join(err, s.Close())
}

// Close waits for the statements that run.
func (p *conns) Close() error {
	var errs []error
	for range cap(p.free) {
		c := <-p.free
		if c == nil {
			return nil // It is closed already.
		}
		errs = append(errs, c.close())
	}
	close(p.free)
	return errors.Join(errs...)
}

// close closes the connection, which is opened again if it is needed.
func (c *conn) close() error {
	var errs []error
	for _, s := range c.prepared {
		errs = append(errs, s.Close())
	}
	clear(c.prepared)
	if c.Conn != nil {
		errs = append(errs, c.Close())
		c.Conn = nil
	}
	return errors.Join(errs...)
}

// Run implements sqlstore.Pool.
func (p *conns) Run(ctx context.Context, text string) error {
	return p.do(ctx, func(c *conn) error { return c.run(text) })
}

// Statement implements sqlstore.Pool.
func (p *conns) Statement(text string) sqlstore.Statement { return &statement{pool: p, text: text} }

// statement is prepared once on each connection that needs it.
type statement struct {
	pool *conns
	text string
}

// on returns the statement, prepared on a connection.
func (s *statement) on(c *conn) (driver.Stmt, error) {
	if p, ok := c.prepared[s]; ok {
		return p, nil
	}
	p, err := c.Prepare(s.text)
	if err == nil {
		c.prepared[s] = p
	}
	return p, err
}

// Exec implements sqlstore.Statement.
func (s *statement) Exec(ctx context.Context, args ...any) (n int64, err error) {
	values, err := valuesOf(args)
	if err != nil {
		return 0, err
	}
	return s.pool.exec(ctx, s, values)
}

// Scan implements sqlstore.Statement.
func (s *statement) Scan(ctx context.Context, arg any, dest ...any) error {
	found := false
	err := s.Each(ctx, []any{arg}, func(scan func(...any) error) error {
		found = true
		return scan(dest...)
	})
	if err == nil && !found {
		err = sql.ErrNoRows
	}
	return err
}

// Each implements sqlstore.Statement.
func (s *statement) Each(ctx context.Context, args []any, row func(scan func(dest ...any) error) error) error {
	values, err := valuesOf(args)
	if err != nil {
		return err
	}
	return s.pool.do(ctx, func(c *conn) error {
		p, err := s.on(c)
		if err != nil {
			return err
		}
		rows, err := p.(driver.StmtQueryContext).QueryContext(context.Background(), values)
		if err != nil {
			return err
		}
		return errors.Join(each(rows, row), rows.Close())
	})
}

func each(rows driver.Rows, row func(scan func(dest ...any) error) error) error {
	values := make([]driver.Value, len(rows.Columns()))
	scan := func(dest ...any) error {
		for i, v := range values {
			if err := assign(dest[i], v); err != nil {
				return err
			}
		}
		return nil
	}
	for {
		err := rows.Next(values)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = row(scan)
		}
		if err != nil {
			return err
		}
	}
}

// Close implements sqlstore.Statement. The connections close what they have prepared.
func (s *statement) Close() error { return nil }

func valuesOf(args []any) ([]driver.NamedValue, error) {
	values := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		v, err := driver.DefaultParameterConverter.ConvertValue(arg)
		if err != nil {
			return nil, err
		}
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return values, nil
}

// assign sets what dest points to. SQLite keeps any value in any column, so it may have
// been written as another type.
func assign(dest any, v driver.Value) error {
	switch d := dest.(type) {
	case sql.Scanner:
		return d.Scan(v)
	case *[]byte:
		switch v := v.(type) {
		case []byte:
			*d = v
		case string:
			*d = []byte(v)
		case nil:
			*d = nil
		default:
			*d = fmt.Append(nil, v)
		}
	case *string:
		if b, ok := v.([]byte); ok {
			v = string(b)
		}
		*d = fmt.Sprint(v)
	case *int:
		n, _ := v.(int64)
		*d = int(n)
	default:
		return fmt.Errorf("cannot assign to a %T", dest)
	}
	return nil
}
