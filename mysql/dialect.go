package mysql

import (
	"context"
	"database/sql"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/go-sql-driver/mysql"

	"github.com/flamego/session/internal/sqlstore"
)

// dialect is that of MySQL and MariaDB. A database that the user has opened may count
// changed rows instead of found ones. Times are truncated to what the column holds:
// MySQL would round them, and an expiry must not get later.
func dialect(foreign bool, fraction time.Duration) sqlstore.Dialect {
	return sqlstore.Dialect{
		Name:        "mysql",
		SharesLoads: true,
		Quote:       '`',
		Key:         "`key`",
		// In the order of the index, and without a subquery, which MySQL forbids on
		// the table that is deleted from.
		Sweep: "DELETE FROM {table} WHERE expired_at <= ? ORDER BY expired_at LIMIT ?",
		Schema: func(t sqlstore.Table) []string {
			index := t.Index()
			if utf8.RuneCountInString(index) > 64 {
				index = "expired_at_idx"
			}
			return []string{
				"CREATE TABLE IF NOT EXISTS " + t.String() + " (`key` VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY," +
					" data LONGBLOB NOT NULL, expired_at DATETIME(6) NOT NULL)",
				// There is no IF NOT EXISTS for it. A name has at most 64 characters, and is that
				// of the table alone.
				"CREATE INDEX " + t.Quote(index) + " ON " + t.String() + " (expired_at)",
			}
		},
		Indexed: func(t sqlstore.Table) (string, []any) {
			return "SELECT COUNT(*) FROM information_schema.statistics WHERE column_name = 'expired_at' AND seq_in_index = 1" +
				" AND table_name = ? AND table_schema = COALESCE(NULLIF(?, ''), DATABASE())", []any{t.Name, t.Schema}
		},
		Time:        func(t time.Time) any { return t.Truncate(fraction) },
		ParseTime:   parseTime,
		Class:       class,
		ChangedRows: foreign,
	}
}

// fraction finds the precision of the column expired_at: whole seconds in tables that
// v1.6.6 made, or if the server cannot tell now.
func fraction(ctx context.Context, db *sql.DB, table string) time.Duration {
	if table == "" {
		table = sqlstore.DefaultTable
	}
	t, err := sqlstore.ParseTable(table, '`')
	if err != nil {
		return time.Second // That is an error elsewhere.
	}
	var digits int
	err = db.QueryRowContext(ctx, "SELECT datetime_precision FROM information_schema.columns WHERE column_name = 'expired_at'"+
		" AND table_name = ? AND table_schema = COALESCE(NULLIF(?, ''), DATABASE())", t.Name, t.Schema).Scan(&digits)
	switch {
	case errors.Is(err, sql.ErrNoRows): // Schema is about to create it.
		return time.Microsecond
	case err != nil || digits < 6:
		return time.Second
	}
	return time.Microsecond
}

// parseTime takes what the driver delivers, with parseTime and without.
func parseTime(v any) (time.Time, bool) {
	switch v := v.(type) {
	case time.Time:
		return v, true
	case []byte:
		t, err := time.Parse(time.DateTime, string(v))
		return t, err == nil
	}
	return time.Time{}, false
}

func class(err error) sqlstore.Class {
	var my *mysql.MySQLError
	if errors.Is(err, mysql.ErrInvalidConn) {
		return sqlstore.Unavailable
	}
	if !errors.As(err, &my) {
		return sqlstore.Other
	}
	switch my.Number {
	case 1062, 1061, 1050: // duplicate entry, duplicate index, table exists
		return sqlstore.Exists
	case 1213, 1205, 1020, 1615: // deadlock, lock wait timeout, record has changed, to be prepared again
		return sqlstore.Busy
	case 1146:
		return sqlstore.NoTable
	case 1142, 1143, 1044: // a statement, a column, a database
		return sqlstore.Denied
	case 1040, 1203, 1226, // too many connections
		1053, 1927, 1047, 3168, // shutting down, connection killed, node not ready, server not available
		1290, 1792, 1836, // read-only, as a replica is
		1317, 3024, 1969, 9001: // interrupted, time-outs, that of ProxySQL
		return sqlstore.Unavailable
	}
	return sqlstore.Other
}
