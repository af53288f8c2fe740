package backendtest

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/driver/drivertest"
	"github.com/flamego/session/internal/sqlstore"
)

var tables atomic.Int64

// FreshTable names a table that no other test has.
func FreshTable() string {
	return fmt.Sprintf("sessions_%d_%d", time.Now().UnixNano()%1e9, tables.Add(1))
}

// SQLConformance runs the suite, each rule on a table of its own. server makes the
// options of a server of a table and a DSN, with a space between them. corrupt is
// the statement that spoils the data of a key in {table}.
func SQLConformance(t *testing.T, driver, dsn, corrupt string, server func(arg string) session.Options) {
	t.Helper()
	var table string
	drivertest.Suite{
		Open: func(*testing.T) func() session.Options {
			table = FreshTable()
			return func() session.Options { return server(table + " " + dsn) }
		},
		Corrupt: func(t *testing.T, id string) {
			ChangeRow(t, driver, dsn, strings.ReplaceAll(corrupt, "{table}", table), id)
		},
	}.Run(t)
}

// ChangeRow runs a statement that must change one row.
func ChangeRow(t *testing.T, driver, dsn, query string, args ...any) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	defer func() { _ = db.Close() }()
	res, err := db.ExecContext(t.Context(), query, args...)
	require.NoError(t, err)
	n, err := res.RowsAffected()
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
}

// Withdrawn takes the rights from the user of a Backend that is running, and then its table:
// each error says what to do. statements run as the administrator; the last one is the revoke.
func Withdrawn[C any](t *testing.T, driver, dsn string, open func(context.Context, C) (*sqlstore.Backend, session.StoreConfig, error), cfg C, table string, statements ...string) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	defer func() { _ = db.Close() }()
	run := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			_, err := db.ExecContext(t.Context(), strings.ReplaceAll(s, "{table}", table))
			require.NoError(t, err)
		}
	}
	last := len(statements) - 1
	run(statements[:last]...)
	b, _, err := open(t.Context(), cfg)
	require.NoError(t, err)
	defer func() { assert.NoError(t, b.Close()) }()
	_, err = b.Load(t.Context(), "aaa")
	require.ErrorIs(t, err, session.ErrNotFound)
	run(statements[last])
	_, err = b.Load(t.Context(), "aaa")
	require.ErrorContains(t, err, "GRANT SELECT, INSERT, UPDATE, DELETE ON")
	require.ErrorContains(t, err, table)
	run(strings.NewReplacer("REVOKE", "GRANT", " FROM ", " TO ").Replace(statements[last]), "DROP TABLE {table}")
	_, err = b.Load(t.Context(), "aaa")
	require.ErrorContains(t, err, "(Config.Table) is gone: create it, or restart with Config.InitTable")
}

// SweepTogether has several servers sweep at once. fill makes the sessions when
// the servers have started.
func SweepTogether(t *testing.T, opt session.Options, fill func()) {
	t.Helper()
	ctx := context.Background()
	var stores []session.Store
	for range 4 {
		m, err := session.NewManager(opt)
		require.NoError(t, err)
		defer func() { _ = m.Close(ctx) }()
		stores = append(stores, m.Store())
	}
	fill()
	done := make(chan error)
	for _, st := range stores {
		go func() { done <- st.GC(ctx) }()
	}
	for range stores {
		require.NoError(t, <-done)
	}
}

// DocumentedSchema compares the SQL on a page of the guide with what InitTable
// does.
func DocumentedSchema(t *testing.T, page string, schema []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/backends/" + page)
	require.NoError(t, err)
	plain := func(sql string) string {
		return strings.Join(strings.Fields(regexp.MustCompile(`-- .*`).ReplaceAllString(sql, "")), "")
	}
	require.NotEmpty(t, schema)
	for _, sql := range schema {
		assert.Contains(t, plain(string(text)), plain(sql)+";")
	}
}
