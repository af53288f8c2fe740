package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/outage"
)

// Load implements driver.Backend. A row whose expired_at cannot be read, or is of year 1,
// counts as expired, and stays where it is, like one that cannot be decoded: an error
// would lock its visitor out. NULL is empty data.
func (b *Backend) Load(ctx context.Context, id string) (driver.Record, error) {
	data, expiry, err := b.row(ctx, id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return driver.Record{}, driver.ErrNotFound
	case err != nil:
		return driver.Record{}, b.fail("load", err)
	case !expiry.ok || expiry.t.IsZero():
		return driver.Record{}, driver.ErrNotFound
	}
	return driver.Record{Data: data, Expiry: expiry.t}, nil
}

// One statement looks up as many IDs as this, or the smaller number, so that there are
// two statements to prepare.
const (
	manyIDs = 64
	someIDs = 8
)

// LoadMany implements driver.ManyLoader.
func (b *Backend) LoadMany(ctx context.Context, ids []string) (map[string]driver.Record, error) {
	found := make(map[string]driver.Record, len(ids))
	err := ctx.Err()
	for chunk := range slices.Chunk(ids, manyIDs) {
		statement, args := b.many(chunk)
		if err = b.rows(ctx, statement, args, found); err != nil {
			break
		}
	}
	if err != nil {
		return nil, b.fail("load many", err)
	}
	return found, nil
}

// many returns the statement that looks up IDs, and its parameters.
func (b *Backend) many(ids []string) (Statement, []any) {
	if b.d.ListLoad != "" {
		return b.loadMany, []any{ids}
	}
	statement, n := b.loadMany, manyIDs
	if len(ids) <= someIDs {
		statement, n = b.loadSome, someIDs
	}
	args := make([]any, n)
	for i := range args {
		args[i] = ids[min(i, len(ids)-1)] // What is left repeats an ID.
	}
	return statement, args
}

// SharesLoads implements driver.LoadSharer.
func (b *Backend) SharesLoads() bool { return b.d.SharesLoads }

// MovesInOneStep implements driver.OneStepMover: a move is an UPDATE.
func (b *Backend) MovesInOneStep() bool { return true }

// rows adds the records under the IDs.
func (b *Backend) rows(ctx context.Context, s Statement, ids []any, found map[string]driver.Record) error {
	return Retry(ctx, b.d.Class, func() error {
		return s.Each(ctx, ids, func(scan func(...any) error) error {
			var id string
			var data []byte
			expiry := expiry{parse: b.d.ParseTime}
			err := scan(&id, &data, &expiry)
			if err == nil && expiry.ok && !expiry.t.IsZero() {
				found[id] = driver.Record{Data: data, Expiry: expiry.t}
			}
			return err
		})
	})
}

// Create implements driver.Backend. It is an INSERT, so the primary key decides between
// calls with the same ID.
func (b *Backend) Create(ctx context.Context, id string, r driver.Record) error {
	if err := b.fits(r); err != nil {
		return b.fail("create", err)
	}
	n, err := b.exec(ctx, b.create, blob(r.Data), b.time(r.Expiry), id)
	if err == nil && n == 0 || err != nil && b.d.Class(err) == Exists {
		return driver.ErrExists
	}
	return b.fail("create", err)
}

// fits returns an error for data that could be stored, but not be changed any more.
func (b *Backend) fits(r driver.Record) error {
	if b.maxData > 0 && len(r.Data) > b.maxData {
		return fmt.Errorf("the session has %d bytes, and the server cannot change one of more than %d: keep large values elsewhere, or raise the server's limit", len(r.Data), b.maxData)
	}
	return nil
}

// Replace implements driver.Backend. The condition and the change are one
// statement, which the database runs against the latest version of the row.
func (b *Backend) Replace(ctx context.Context, id string, old, r driver.Record) error {
	if err := b.fits(r); err != nil {
		return b.fail("replace", err)
	}
	n, err := b.exec(ctx, b.replace, blob(r.Data), b.time(r.Expiry), id, blob(old.Data))
	if err == nil && n == 0 {
		return b.isAlready(ctx, id, old, r)
	}
	return b.fail("replace", err)
}

// isAlready returns ErrConflict, unless a row was not counted because it already holds
// the new values.
func (b *Backend) isAlready(ctx context.Context, id string, old, r driver.Record) error {
	if !b.d.ChangedRows || !bytes.Equal(old.Data, r.Data) {
		return driver.ErrConflict
	}
	is, err := b.Load(ctx, id)
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	lost := r.Expiry.Sub(is.Expiry) // Columns made by v1.6.6 hold whole seconds.
	if err != nil || !bytes.Equal(is.Data, r.Data) || lost < 0 || lost >= time.Second {
		return driver.ErrConflict
	}
	return nil
}

// Move implements driver.Backend. It changes the key of the row in place, so there are
// never two records, or none.
func (b *Backend) Move(ctx context.Context, id, newID string, old, r driver.Record) error {
	if err := b.fits(r); err != nil {
		return b.fail("move", err)
	}
	n, err := b.exec(ctx, b.move, blob(r.Data), b.time(r.Expiry), newID, id, blob(old.Data))
	switch {
	case err == nil && n == 0:
		return driver.ErrConflict
	case err != nil && b.d.Class(err) == Exists:
		return driver.ErrExists
	}
	return b.fail("move", err)
}

// Touch implements driver.Backend. It compares in the statement, as Replace does.
func (b *Backend) Touch(ctx context.Context, id string, old driver.Record, expiry time.Time) error {
	n, err := b.exec(ctx, b.touch, b.time(expiry), id, blob(old.Data))
	if err == nil && n == 0 {
		return b.isAlready(ctx, id, old, driver.Record{Data: old.Data, Expiry: expiry})
	}
	return b.fail("touch", err)
}

// Delete implements driver.Backend.
func (b *Backend) Delete(ctx context.Context, id string) error {
	_, err := b.exec(ctx, b.remove, id)
	return b.fail("delete", err)
}

// DeleteExpired implements driver.Backend. now is truncated like the expiry, so a row is
// never deleted early.
func (b *Backend) DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error) {
	n, err := b.exec(ctx, b.sweep, b.time(now), limit)
	return int(n), b.fail("delete expired", err)
}

// Count implements driver.Counter. It reads a range of the index.
func (b *Backend) Count(ctx context.Context, now time.Time) (n int, err error) {
	err = Retry(ctx, b.d.Class, func() error { return b.count.Scan(ctx, b.time(now), &n) })
	return n, b.fail("count", err)
}

// listPage is how many IDs one statement lists.
const listPage = 1000

// IDs implements driver.Lister. Each page begins after the last ID of the one before.
func (b *Backend) IDs(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for last, n := "", listPage; n == listPage; {
			var page []string
			err := Retry(ctx, b.d.Class, func() error {
				page = page[:0]
				return b.list.Each(ctx, []any{last}, func(scan func(...any) error) error {
					page = append(page, "")
					return scan(&page[len(page)-1])
				})
			})
			if err != nil {
				yield("", b.fail("list", err))
				return
			}
			for _, id := range page {
				if last = id; !yield(id, nil) {
					return
				}
			}
			n = len(page)
		}
	}
}

// Close closes the statements, and the pools if they are the library's.
func (b *Backend) Close() error {
	var errs []error
	for _, s := range []Statement{b.load, b.loadSome, b.loadMany, b.create, b.replace, b.move, b.touch, b.remove, b.sweep, b.count, b.list} {
		errs = append(errs, s.Close())
	}
	if b.end != nil {
		errs = append(errs, b.end())
	}
	return b.fail("close", errors.Join(errs...))
}

// row returns what is stored, or sql.ErrNoRows.
func (b *Backend) row(ctx context.Context, id string) (data []byte, expiry expiry, err error) {
	expiry.parse = b.d.ParseTime
	err = Retry(ctx, b.d.Class, func() error { return b.load.Scan(ctx, id, &data, &expiry) })
	return data, expiry, err
}

func (b *Backend) exec(ctx context.Context, s Statement, args ...any) (n int64, err error) {
	err = Retry(ctx, b.d.Class, func() error {
		n, err = s.Exec(ctx, args...)
		return err
	})
	return n, err
}

func (b *Backend) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s: %w", b.d.Name, op, b.explain(err))
}

// explain is mark, and says what to do about what does not pass by itself.
func (b *Backend) explain(err error) error {
	switch b.d.Class(err) {
	case Denied:
		schema := ""
		if b.table.Schema != "" {
			schema = ", and USAGE on its schema,"
		}
		return fmt.Errorf("%w: GRANT SELECT, INSERT, UPDATE, DELETE ON %s%s to the user of the connection", err, b.table, schema)
	case NoTable:
		return fmt.Errorf("%w: the table %s (Config.Table) is gone: create it, or restart with Config.InitTable", err, b.table)
	}
	return b.mark(err)
}

// mark makes an error a driver.ErrUnavailable if it passes by itself. database/sql returns
// ErrBadConn when it could not get a connection, several times in a row.
func (b *Backend) mark(err error) error {
	if b.d.Class(err) == Unavailable || errors.Is(err, sqldriver.ErrBadConn) {
		return outage.Mark(err)
	}
	return err
}

// time truncates to what the columns hold, since servers may round up.
func (b *Backend) time(t time.Time) any {
	return b.d.Time(t.UTC().Truncate(time.Microsecond))
}

// blob returns an empty value for no data, since drivers take nil for NULL.
func blob(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

// expiry scans an expired_at without a copy, and without an error.
type expiry struct {
	parse func(any) (time.Time, bool)
	t     time.Time
	ok    bool
}

func (e *expiry) Scan(v any) error {
	e.t, e.ok = e.parse(v)
	return nil
}
