package mysql

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/driver/drivertest"
	"github.com/flamego/session/test/backendtest"
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
	drivertest.Main(m, map[string]func(string) session.Options{"mysql": serverOf})
}

func testContract(t *testing.T, dsn string) {
	t.Run("DSN", func(t *testing.T) {
		backendtest.Contract(t, open, func(*testing.T) Config {
			return Config{DSN: dsn, Table: backendtest.FreshTable(), InitTable: true}
		})
	})
	// As an application may open it: the server counts rows that have changed.
	t.Run("DB", func(t *testing.T) {
		db, err := sql.Open("mysql", dsn)
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		backendtest.Contract(t, open, func(*testing.T) Config {
			return Config{DB: db, Table: backendtest.FreshTable(), InitTable: true}
		})
	})
}

func testConformance(t *testing.T, dsn string) {
	backendtest.SQLConformance(t, "mysql", dsn, "UPDATE {table} SET data = 'garbage' WHERE `key` = ?", serverOf)
}

func testProcesses(t *testing.T, dsn string) {
	drivertest.Processes(t, "mysql", func(*testing.T) string { return backendtest.FreshTable() + " " + dsn })
}

func testRawStorage(t *testing.T, dsn string) {
	backendtest.Encrypted(t, func(t *testing.T, enc session.Encoder, dec session.Decoder) (session.Options, func(*testing.T) []byte) {
		cfg := Config{DSN: dsn, Table: backendtest.FreshTable(), InitTable: true, Encoder: enc, Decoder: dec}
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
