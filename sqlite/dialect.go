package sqlite

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/flamego/session/internal/sqlstore"
)

// timeLayout sorts as text like the times, also among those of v1.6.6, which end
// with the seconds; and time.DateTime, by which v1.6.6 reads, accepts it.
const timeLayout = "2006-01-02 15:04:05.000000"

var dialect = sqlstore.Dialect{
	Name:  "sqlite",
	Quote: '"',
	Key:   "key",
	// A text and a blob are never equal, even with the same bytes. A text comes
	// from a command line, not from this library.
	Match: "ifnull(CAST(data AS BLOB), x'') = ?",
	Sweep: "DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE expired_at <= ? LIMIT ?)",
	Schema: func(t sqlstore.Table) []string {
		return []string{
			"CREATE TABLE IF NOT EXISTS " + t.String() + " (key TEXT PRIMARY KEY, data BLOB NOT NULL, expired_at TEXT NOT NULL)",
			"CREATE INDEX IF NOT EXISTS " + t.Qualify(t.Index()) + " ON " + t.Quote(t.Name) + " (expired_at)",
		}
	},
	Time: func(t time.Time) any { return t.Format(timeLayout) },
	ParseTime: func(v any) (time.Time, bool) {
		switch v := v.(type) {
		case string:
			t, err := time.Parse(time.DateTime, v)
			return t, err == nil
		case time.Time: // The column was declared as a DATETIME.
			return v, true
		}
		return time.Time{}, false
	},
	Class: class,
}

// Result codes of SQLite, without their extensions.
const (
	codeBusy     = 5
	codeLocked   = 6
	codeReadOnly = 8
	codeCorrupt  = 11
	codeCantOpen = 14
	codeProtocol = 15
	codeNotADB   = 26
)

// code returns SQLite's result code of an error, or 0.
func code(err error) int {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		return coded.Code() & 0xff
	}
	return 0
}

// class goes by SQLite's own words too, because Config.DB may come from another
// driver.
func class(err error) sqlstore.Class {
	switch code(err) {
	case codeBusy, codeLocked, codeProtocol:
		return sqlstore.Busy
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "UNIQUE constraint failed"):
		return sqlstore.Exists
	case strings.Contains(text, "database is locked"), strings.Contains(text, "database table is locked"):
		return sqlstore.Busy
	case strings.Contains(text, "no such table"):
		return sqlstore.NoTable
	}
	return sqlstore.Other
}

// remedy adds to an error at the start which field to look at, and what for.
func remedy(cfg Config, err error) error {
	var what string
	switch c := code(err); {
	case c == codeCantOpen:
		what = "its folder must exist and be writable"
	case c == codeReadOnly:
		what = "the file and its folder must be writable"
	case c == codeNotADB, c == codeCorrupt:
		what = "the file is no intact SQLite database: name another one, or a new one"
	case class(err) == sqlstore.Busy, errors.Is(err, context.DeadlineExceeded):
		what = "another process keeps it locked"
	default:
		return err
	}
	if cfg.DB != nil {
		return fmt.Errorf("%w (Config.DB: %s)", err, what)
	}
	return fmt.Errorf("%w (Config.DSN %q: %s)", err, cfg.DSN, what)
}

// defaults are the parameters of the driver that many goroutines and processes on
// one file need, each with the names by which a DSN may settle it otherwise.
var defaults = []struct {
	param string
	names []string
}{
	{"_pragma=busy_timeout(5000)", []string{"busy_timeout", "_busy_timeout", "_timeout"}},
	{"_pragma=journal_mode(WAL)", []string{"journal_mode", "_journal_mode", "_journal"}},
	{"_pragma=synchronous(NORMAL)", []string{"synchronous", "_synchronous", "_sync"}},
	{"_txlock=immediate", []string{"_txlock"}},
}

// withDefaults adds the parameters that the DSN says nothing of. It takes no path
// apart, so that those of Windows work as well.
func withDefaults(dsn string) string {
	_, query, found := strings.Cut(dsn, "?")
	params, _ := url.ParseQuery(query) // An error is for the driver to report.
	given := make(map[string]bool)
	for name, values := range params {
		given[name] = true
		if name != "_pragma" {
			continue
		}
		for _, v := range values {
			// name(value), name=value, and either after the name of a database
			v = strings.TrimSpace(v)
			v = v[:strings.IndexAny(v+"=", "(= ")]
			given[strings.ToLower(v[strings.LastIndex(v, ".")+1:])] = true
		}
	}
	sep := "?"
	if found {
		sep = "&"
	}
next:
	for _, d := range defaults {
		for _, name := range d.names {
			if given[name] {
				continue next
			}
		}
		dsn += sep + d.param
		sep = "&"
	}
	return dsn
}
