// Package sqlstore is the flow of statements that the SQL backends share. A
// backend contributes a Dialect and an open Pool.
//
// The table has the columns key, data and expired_at. Each method of Backend is one
// statement, so the database makes it atomic and orders it against others; a Pool may put
// several into one transaction. Compare-and-swap is a condition on the old bytes.
package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/outage"
)

// Options say where a Backend keeps its records.
type Options struct {
	// Read and Write are the pools for SELECT and for all else. They may be the
	// same one.
	Read, Write Pool
	// Table is the name of the table, or schema.table: see ParseTable. Default is
	// DefaultTable.
	Table string
	// InitTable creates the table and its index, if missing.
	InitTable bool
	// Lazy means that an error that passes by itself is not one of New: see package
	// outage. It does not hold with InitTable.
	Lazy bool
	// MaxData is how many bytes a record may hold: a larger one could be stored, but not be
	// changed any more. Default is any number.
	MaxData int
	// Close closes what the backend opened, after the statements, or when New fails.
	// Default is nothing: the pools are the user's.
	Close func() error
}

// DefaultTable is the name of a table that is not named.
const DefaultTable = "sessions"

// Backend is a driver.Backend in a table.
type Backend struct {
	d       Dialect
	table   Table
	maxData int
	end     func() error

	load, loadSome, loadMany, create, replace, move, touch, remove, sweep, count, list Statement
}

var (
	_ driver.Backend    = (*Backend)(nil)
	_ driver.LoadSharer = (*Backend)(nil)
	_ driver.Counter    = (*Backend)(nil)
)

// New returns a Backend, and checks that its table can be used.
func New(ctx context.Context, d Dialect, o Options) (*Backend, error) {
	b, err := open(ctx, d, o)
	if err != nil {
		if o.Close != nil {
			_ = o.Close()
		}
		return nil, err
	}
	return b, nil
}

func open(ctx context.Context, d Dialect, o Options) (*Backend, error) {
	if o.Table == "" {
		o.Table = DefaultTable
	}
	table, err := ParseTable(o.Table, d.Quote)
	if err != nil {
		return nil, fmt.Errorf("%s: Config.Table is not a name: %w", d.Name, err)
	}
	for _, part := range []string{table.Schema, table.Name} {
		if d.MaxName > 0 && len(part) > d.MaxName {
			return nil, fmt.Errorf("%s: Config.Table: %q is longer than %d bytes, and the database would cut it off: use a shorter name", d.Name, part, d.MaxName)
		}
	}
	if d.Match == "" {
		d.Match = "data = ?"
	}
	if d.Time == nil {
		d.Time = func(t time.Time) any { return t }
	}
	if d.ParseTime == nil {
		d.ParseTime = func(v any) (time.Time, bool) { t, ok := v.(time.Time); return t, ok }
	}

	b := &Backend{d: d, table: table, maxData: o.MaxData, end: o.Close}
	b.load = b.statement(o.Read, "SELECT data, expired_at FROM {table} WHERE {key} = ?")
	byIDs := func(n int) string {
		return "SELECT {key}, data, expired_at FROM {table} WHERE {key} IN (?" + strings.Repeat(", ?", n-1) + ")"
	}
	b.loadSome = b.statement(o.Read, byIDs(someIDs))
	b.loadMany = b.statement(o.Read, cmp.Or(d.ListLoad, byIDs(manyIDs)))
	b.create = b.statement(o.Write, "INSERT INTO {table} (data, expired_at, {key}) VALUES (?, ?, ?)"+d.OnConflict)
	b.replace = b.statement(o.Write, "UPDATE {table} SET data = ?, expired_at = ? WHERE {key} = ? AND {match}")
	b.move = b.statement(o.Write, "UPDATE {table} SET data = ?, expired_at = ?, {key} = ? WHERE {key} = ? AND {match}")
	b.touch = b.statement(o.Write, "UPDATE {table} SET expired_at = ? WHERE {key} = ? AND {match}")
	b.remove = b.statement(o.Write, "DELETE FROM {table} WHERE {key} = ?")
	b.sweep = b.statement(o.Write, d.Sweep)
	b.list = b.statement(o.Read, fmt.Sprintf("SELECT {key} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT %d", listPage))
	b.count = b.statement(o.Read, fmt.Sprintf("SELECT COUNT(*) FROM {table} WHERE expired_at > ? AND NOT ({key} LIKE '%s%%' AND LENGTH({key}) = %d)", driver.OwnIDPrefix, driver.OwnIDLength))

	if o.InitTable {
		if err := b.initTable(ctx, o.Write); err != nil {
			return nil, err
		}
	}
	err = b.check(ctx)
	switch {
	case err == nil, o.Lazy && !o.InitTable && outage.Is(b.mark(err)):
		return b, nil
	case d.Class(err) == NoTable:
		return nil, fmt.Errorf("%s: there is no table %s: set Config.InitTable to create it, or Config.Table to the name of yours: %w", d.Name, table, err)
	}
	return nil, fmt.Errorf("%s: the table %s (Config.Table) cannot be used: %w", d.Name, table, b.mark(err))
}

// statement fills in the template of a statement: {table}, {key} and {match},
// and "?" for parameters. The table comes last, as it may hold any of these.
func (b *Backend) statement(p Pool, template string) Statement {
	text := strings.NewReplacer("{key}", b.d.Key, "{match}", b.d.Match).Replace(template)
	if b.d.Placeholder != nil {
		parts := strings.Split(text, "?")
		text = parts[0]
		for i, part := range parts[1:] {
			text += b.d.Placeholder(i+1) + part
		}
	}
	text = strings.ReplaceAll(text, "{table}", b.table.String())
	return p.Statement(text)
}

func (b *Backend) initTable(ctx context.Context, p Pool) error {
	for i, text := range b.d.Schema(b.table) {
		if i > 0 && b.indexed(ctx, p) {
			break
		}
		err := Retry(ctx, b.d.Class, func() error { return p.Run(ctx, text) })
		// Of several servers that start together, one makes the table.
		if err != nil && b.d.Class(err) != Exists {
			return fmt.Errorf("%s: Config.InitTable: %w", b.d.Name, b.mark(err))
		}
	}
	return nil
}

// indexed reports whether the table certainly has an index on expired_at.
func (b *Backend) indexed(ctx context.Context, p Pool) bool {
	if b.d.Indexed == nil {
		return false
	}
	query, args := b.d.Indexed(b.table)
	n, s := 0, b.statement(p, query)
	err := s.Each(ctx, args, func(scan func(...any) error) error { return scan(&n) })
	return errors.Join(err, s.Close()) == nil && n > 0
}

// check reads and deletes under an ID that no session has. It fails if the table, a
// column or a permission is missing.
func (b *Backend) check(ctx context.Context) error {
	_, _, err := b.row(ctx, "")
	if err == nil || errors.Is(err, sql.ErrNoRows) {
		_, err = b.exec(ctx, b.remove, "")
	}
	return err
}
