package mysql

import (
	"errors"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/flamego/session/internal/sqlstore"
)

// dialect is that of MySQL and MariaDB. A database that the user has opened may
// count changed rows instead of found ones.
func dialect(foreign bool) sqlstore.Dialect {
	return sqlstore.Dialect{
		Name:  "mysql",
		Quote: '`',
		Key:   "`key`",
		// In the order of the index, and without a subquery, which MySQL forbids on
		// the table that is deleted from.
		Sweep: "DELETE FROM {table} WHERE expired_at <= ? ORDER BY expired_at LIMIT ?",
		Schema: func(t sqlstore.Table) []string {
			return []string{
				"CREATE TABLE IF NOT EXISTS " + t.String() + " (`key` VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY," +
					" data LONGBLOB NOT NULL, expired_at DATETIME(6) NOT NULL)",
				// There is no IF NOT EXISTS for it.
				"CREATE INDEX " + t.Quote(t.Index()) + " ON " + t.String() + " (expired_at)",
			}
		},
		ParseTime:   parseTime,
		Class:       class,
		ChangedRows: foreign,
	}
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
	if !errors.As(err, &my) {
		return sqlstore.Other
	}
	switch my.Number {
	case 1062, 1061, 1050: // duplicate entry, duplicate index, table exists
		return sqlstore.Exists
	case 1213, 1205, 1020: // deadlock, lock wait timeout, record has changed
		return sqlstore.Busy
	case 1146:
		return sqlstore.NoTable
	}
	return sqlstore.Other
}
