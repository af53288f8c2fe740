package mysql

import (
	"database/sql"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/ciphertest"
	"github.com/flamego/session/sessiontest"
)

// serverOf makes the options of a server. The argument is the table and the DSN.
func serverOf(arg string) session.Options {
	var table, dsn string
	_, _ = fmt.Sscan(arg, &table, &dsn)
	return session.Options{
		Initer: Initer(),
		Config: Config{DSN: dsn, Table: table, InitTable: true},
	}
}

func TestMain(m *testing.M) {
	sessiontest.Main(m, map[string]func(string) session.Options{"mysql": serverOf})
}

var tables atomic.Int64

// freshTable names a table that no other test has.
func freshTable() string {
	return fmt.Sprintf("sessions_%d_%d", time.Now().UnixNano()%1e9, tables.Add(1))
}

func testConformance(t *testing.T, dsn string) {
	var table string
	sessiontest.Suite{
		Open: func(*testing.T) func() session.Options {
			table = freshTable()
			return func() session.Options { return serverOf(table + " " + dsn) }
		},
		Corrupt: func(t *testing.T, id string) {
			db, err := sql.Open("mysql", dsn)
			require.NoError(t, err)
			defer func() { _ = db.Close() }()
			res, err := db.Exec("UPDATE "+table+" SET data = 'garbage' WHERE `key` = ?", id)
			require.NoError(t, err)
			n, err := res.RowsAffected()
			require.NoError(t, err)
			require.EqualValues(t, 1, n)
		},
	}.Run(t)
}

func testProcesses(t *testing.T, dsn string) {
	sessiontest.Processes(t, "mysql", func(*testing.T) string { return freshTable() + " " + dsn })
}

func testRawStorage(t *testing.T, dsn string) {
	ciphertest.Run(t, func(t *testing.T, enc session.Encoder, dec session.Decoder) (session.Options, func(*testing.T) []byte) {
		cfg := Config{DSN: dsn, Table: freshTable(), InitTable: true, Encoder: enc, Decoder: dec}
		return session.Options{Initer: Initer(), Config: cfg}, func(t *testing.T) []byte {
			db, err := sql.Open("mysql", dsn)
			require.NoError(t, err)
			defer func() { _ = db.Close() }()
			var key string
			var data []byte
			err = db.QueryRow("SELECT `key`, data FROM "+cfg.Table).Scan(&key, &data)
			require.NoError(t, err)
			return append([]byte(key), data...)
		}
	})
}
