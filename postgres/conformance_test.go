package postgres

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
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
	drivertest.Main(m, map[string]func(string) session.Options{"postgres": serverOf})
}

func testContract(t *testing.T, dsn string) {
	backendtest.Contract(t, open, func(*testing.T) Config {
		return Config{DSN: dsn, Table: backendtest.FreshTable(), InitTable: true}
	})
}

func testConformance(t *testing.T, dsn string) {
	backendtest.SQLConformance(t, "pgx", dsn, "UPDATE {table} SET data = 'garbage' WHERE key = $1", serverOf)
}

func testProcesses(t *testing.T, dsn string) {
	drivertest.Processes(t, "postgres", func(*testing.T) string { return backendtest.FreshTable() + " " + dsn })
}

func testRawStorage(t *testing.T, dsn string) {
	backendtest.Encrypted(t, func(t *testing.T, enc session.Encoder, dec session.Decoder) (session.Options, func(*testing.T) []byte) {
		cfg := Config{DSN: dsn, Table: backendtest.FreshTable(), InitTable: true, Encoder: enc, Decoder: dec}
		return session.Options{Initer: Initer(), Config: cfg}, func(t *testing.T) []byte {
			conn, err := pgx.Connect(t.Context(), dsn)
			require.NoError(t, err)
			defer func() { _ = conn.Close(context.Background()) }()
			var key string
			var data []byte
			err = conn.QueryRow(t.Context(), "SELECT key, data FROM "+cfg.Table).Scan(&key, &data)
			require.NoError(t, err)
			return append([]byte(key), data...)
		}
	})
}
