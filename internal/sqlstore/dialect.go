package sqlstore

import (
	"fmt"
	"strings"
	"time"
)

// Dialect is what the shared statements need to know about an SQL system. A backend
// fills one in when it opens, so fields may depend on the server.
type Dialect struct {
	// Name is the package of the backend; it begins the text of errors.
	Name string
	// Quote is the character that encloses names of tables, doubled within them.
	Quote byte
	// Key spells the column key, which is a reserved word in MySQL. The other
	// columns need no quotes, and get none: SQLite takes a quoted name that it does
	// not know for a string.
	Key string
	// Placeholder spells the n-th parameter, counted from 1. Default is "?".
	Placeholder func(n int) string
	// MaxName is how many bytes a name may have, where the system would cut off the rest.
	// Default is any number.
	MaxName int
	// OnConflict ends an INSERT that is to do nothing where the key is taken. Without it,
	// that is an error of class Exists.
	OnConflict string
	// ListLoad loads the records under a list of IDs, its one parameter, as rows of key,
	// data and expired_at. It is a template, as Sweep is. By default there is a parameter
	// for each ID.
	ListLoad string
	// Match is the condition that the row holds the bytes of its one parameter,
	// exactly. Default is "data = ?".
	Match string
	// Sweep deletes rows whose expired_at is not after its first parameter, at most
	// as many as its second, and none that has been touched meanwhile. It is a
	// template: see Backend.statement.
	Sweep string
	// Schema returns the statements that create the table and, each in another way, an
	// index on expired_at. A statement that fails with Exists counts as done.
	Schema func(t Table) []string
	// Indexed returns a query, and its parameters, for the number of indexes of a table that
	// begin with expired_at. If there is one, InitTable makes none, whatever its name: that
	// may be the name of another table's index, and CREATE INDEX may keep writers waiting
	// before it looks. Default is never to look.
	Indexed func(t Table) (query string, args []any)
	// Time converts a time, in UTC and whole microseconds, to a parameter. It must not
	// become later on its way into the column. Default is the time itself.
	Time func(t time.Time) any
	// ParseTime converts an expired_at from the driver's type; a []byte is valid only
	// until it returns. Default accepts only a time.Time.
	ParseTime func(v any) (time.Time, bool)
	// Class classifies an error of the driver.
	Class func(err error) Class
	// ChangedRows says that a row that an UPDATE leaves as it was may not be
	// counted, as in MySQL without clientFoundRows.
	ChangedRows bool
	// SharesLoads lets the loads of concurrent requests share statements: see
	// driver.LoadSharer.
	SharesLoads bool
}

// Class says what can be done about an error.
type Class int

const (
	// Other means giving up.
	Other Class = iota
	// Exists means that a key is taken, or that a table or an index exists.
	Exists
	// Busy means that the statement had no effect because of other transactions, and
	// should be retried: a lock, a deadlock, a serialization failure.
	Busy
	// NoTable means that there is no such table.
	NoTable
	// Denied means that the database user may not do that.
	Denied
	// Unavailable means that waiting helps: see driver.ErrUnavailable. What package outage
	// recognizes by itself may be Other.
	Unavailable
)

// Table is the name of a table, in parts.
type Table struct {
	Schema string // "" for the default one
	Name   string
	quote  string
}

// ParseTable parses a name of the form table or schema.table. A part that contains a dot
// must be quoted, with quotes in it doubled. Other parts are used as they are, including
// quotes, spaces or anything else.
func ParseTable(s string, quote byte) (Table, error) {
	t := Table{quote: string(quote)}
	var parts []string
	for rest, more := s, true; more; {
		var part string
		var ok bool
		if part, rest, more, ok = cutPart(rest, t.quote); !ok {
			return Table{}, fmt.Errorf("%q has quotes that do not match", s)
		}
		// Drivers written in C would end the statement at the NUL.
		if part == "" || strings.ContainsRune(part, 0) {
			return Table{}, fmt.Errorf("%q has an empty part or a NUL", s)
		}
		parts = append(parts, part)
	}
	if len(parts) > 2 {
		return Table{}, fmt.Errorf("%q has more than two parts: quote the one that holds a dot", s)
	}
	t.Name = parts[len(parts)-1]
	if len(parts) == 2 {
		t.Schema = parts[0]
	}
	return t, nil
}

// cutPart splits the first part off a name. A quoted part ends at a quote that is not
// doubled, followed by a dot or the end.
func cutPart(s, quote string) (part, rest string, more, ok bool) {
	if !strings.HasPrefix(s, quote) {
		part, rest, more = strings.Cut(s, ".")
		return part, rest, more, true
	}
	for s = s[1:]; ; s = s[1:] {
		head, tail, closed := strings.Cut(s, quote)
		part += head
		if !closed {
			return "", "", false, false
		}
		if !strings.HasPrefix(tail, quote) {
			rest, more = strings.CutPrefix(tail, ".")
			return part, rest, more, more || tail == ""
		}
		part, s = part+quote, tail
	}
}

// Quote returns a name as the system's SQL spells it.
func (t Table) Quote(name string) string {
	return t.quote + strings.ReplaceAll(name, t.quote, t.quote+t.quote) + t.quote
}

// Qualify returns a name in the schema of the table, if it has one.
func (t Table) Qualify(name string) string {
	if t.Schema == "" {
		return t.Quote(name)
	}
	return t.Quote(t.Schema) + "." + t.Quote(name)
}

// String returns the table's name as the system's SQL spells it.
func (t Table) String() string { return t.Qualify(t.Name) }

// Index returns the bare name of the index on expired_at.
func (t Table) Index() string { return t.Name + "_expired_at_idx" }
