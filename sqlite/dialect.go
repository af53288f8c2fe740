package sqlite

import (
	"context"
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
	// DELETE itself has no LIMIT here. Nothing can change between the two parts, as
	// the statement holds the one lock for writing.
	Sweep: "DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE expired_at <= ? LIMIT ?)",
	Schema: func(t sqlstore.Table) []string {
		return []string{
			"CREATE TABLE IF NOT EXISTS " + t.String() + " (key TEXT PRIMARY KEY, data BLOB NOT NULL, expired_at TEXT NOT NULL)",
			"CREATE INDEX IF NOT EXISTS " + t.Qualify(t.Index()) + " ON " + t.Quote(t.Name) + " (expired_at)",
			// If the name is that of another table's index, as after that was renamed.
			"CREATE INDEX IF NOT EXISTS " + t.Qualify(t.Index()+"2") + " ON " + t.Quote(t.Name) + " (expired_at)",
		}
	},
	Indexed: func(t sqlstore.Table) (string, []any) {
		var schema any
		if t.Schema != "" {
			schema = t.Schema
		}
		return "SELECT count(*) FROM pragma_index_list(?, ?) AS list, pragma_index_info(list.name, ?) AS field" +
			" WHERE field.seqno = 0 AND field.name = 'expired_at' AND NOT list.partial", []any{t.Name, schema, schema}
	},
	// A text, because the driver would write a time.Time in another layout.
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

// errorWords says what SQLite's own words in an error mean. The words are the same in
// every driver that Config.DB may come from; the codes are not.
var errorWords = []struct {
	words  string
	class  sqlstore.Class
	remedy string
}{
	{"UNIQUE constraint failed", sqlstore.Exists, ""},
	{"no such table", sqlstore.NoTable, ""},
	{"database is locked", sqlstore.Busy, "another process keeps it locked"},
	{"database table is locked", sqlstore.Busy, "another process keeps it locked"},
	{"locking protocol", sqlstore.Busy, "another process keeps it locked"},
	{context.DeadlineExceeded.Error(), sqlstore.Other, "another process keeps it locked"},
	{"unable to open database file", sqlstore.Other, "its folder must exist and be writable"},
	{"readonly database", sqlstore.Other, "the file and its folder must be writable"},
	{"file is not a database", sqlstore.Other, "name another file, or a new one"},
	{"database disk image is malformed", sqlstore.Other, "name another file, or restore it"},
}

// class is the Class of the dialect.
func class(err error) sqlstore.Class {
	text := err.Error()
	for _, e := range errorWords {
		if strings.Contains(text, e.words) {
			return e.class
		}
	}
	return sqlstore.Other
}

// remedy adds to an error at start which field to check, and for what.
func remedy(cfg Config, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, e := range errorWords {
		switch {
		case e.remedy == "" || !strings.Contains(text, e.words):
		case cfg.DB != nil:
			return fmt.Errorf("%w (Config.DB: %s)", err, e.remedy)
		default:
			return fmt.Errorf("%w (Config.DSN %q: %s)", err, cfg.DSN, e.remedy)
		}
	}
	return err
}

// defaults are the driver's parameters that many goroutines and processes on one file
// need, each with the names by which a DSN may set it.
var defaults = []struct {
	param string
	names []string
}{
	{"_pragma=journal_mode(WAL)", []string{"journal_mode", "_journal_mode", "_journal"}},
	{"_pragma=synchronous(NORMAL)", []string{"synchronous", "_synchronous", "_sync"}},
}

// withDefaults adds the parameters that the DSN does not set. It does not parse the path,
// so that Windows paths work too.
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
