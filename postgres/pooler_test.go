package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/share"
	"github.com/flamego/session/internal/sqlstore"
	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/test/backendtest"
)

// storm has visitors come, change their sessions and go, at the same time.
func storm(t *testing.T, b session.Backend) {
	t.Helper()
	ctx := share.Patient(t.Context())
	errs := make([]error, 12)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for n := range 5 {
				id := fmt.Sprintf("visitor%dx%d", i, n)
				errs[i] = errors.Join(errs[i], b.Create(ctx, id, backendtest.Record("1")),
					b.Replace(ctx, id, backendtest.Record("1"), backendtest.Record("2")),
					b.Move(ctx, id, id+"new", backendtest.Record("2"), backendtest.Record("3")))
				r, err := b.Load(ctx, id+"new")
				found, many := b.(session.ManyLoader).LoadMany(ctx, []string{id + "new", "none"})
				errs[i] = errors.Join(errs[i], err, many, b.Delete(ctx, id+"new"))
				if err == nil && many == nil && (string(r.Data) != "3" || !r.Expiry.Equal(backendtest.Later) || string(found[id+"new"].Data) != "3") {
					errs[i] = errors.Join(errs[i], fmt.Errorf("%s holds %+v and %+v", id, r, found))
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

// TestPooler runs through PgBouncer in transaction mode, which gives each transaction another
// of the server's connections.
func TestPooler(t *testing.T) {
	dsn := testserver.Postgres.Get(t).DSN
	through := testserver.PgBouncer(t, dsn).DSN
	table := backendtest.FreshTable()
	backendtest.Open(t, open, Config{DSN: dsn, Table: table, InitTable: true})

	t.Run("default", func(t *testing.T) {
		var log bytes.Buffer
		before := slog.Default()
		slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
		defer slog.SetDefault(before)
		pool, err := pgxpool.New(t.Context(), through)
		require.NoError(t, err)
		defer pool.Close()
		for i, cfg := range []Config{{DSN: through}, {Pool: pool}} {
			cfg.Table = table
			storm(t, backendtest.Open(t, open, cfg))
			assert.Equal(t, i+1, strings.Count(log.String(), "default_query_exec_mode=exec"), log.String())
		}
	})
	for _, parameter := range []string{"default_query_exec_mode=exec", "default_query_exec_mode=simple_protocol", "default_query_exec_mode=describe_exec", "default_query_exec_mode=cache_describe", "statement_cache_capacity=0"} {
		t.Run(parameter, func(t *testing.T) {
			storm(t, backendtest.Open(t, open, Config{DSN: through + "&" + parameter, Table: table}))
		})
	}
	backendtest.WrongConfigs(t, "postgres", open, map[string]backendtest.Wrong[Config]{
		"parameter": {Config: Config{DSN: through + "&search_path=public", Table: table}, Want: []string{"Config.DSN", "unsupported startup parameter", "search_path"}},
		"password":  {Config: Config{DSN: strings.Replace(through, ":session@", ":wrong@", 1), Table: table}, Want: []string{"Config.DSN", "authentication failed"}},
		"database":  {Config: Config{DSN: strings.Replace(through, "/app", "/nix", 1), Table: table}, Want: []string{"Config.DSN", "nix"}},
	})
}

// TestPoolerAlone has PgBouncer take connections while the server behind it is down. That is no
// error at start.
func TestPoolerAlone(t *testing.T) {
	through := testserver.PgBouncer(t, "postgres://postgres@127.0.0.1:1/postgres").DSN
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	b, _, err := open(ctx, Config{DSN: through})
	require.NoError(t, err)
	defer func() { _ = b.Close() }()
	_, err = b.Load(ctx, "abc")
	backendtest.AssertOutage(t, err, "Load")
}

// TestUnavailable is what a server and PgBouncer say when they cannot serve now.
func TestUnavailable(t *testing.T) {
	for code, messages := range map[string]map[string]sqlstore.Class{
		"57P03": {"the database system is starting up": sqlstore.Unavailable},
		"53300": {"sorry, too many clients already": sqlstore.Unavailable},
		"25006": {"cannot execute DELETE in a read-only transaction": sqlstore.Unavailable},
		"28P01": {"password authentication failed": sqlstore.Other},
		"08P01": {
			"no more connections allowed (max_client_conn)": sqlstore.Unavailable,
			"query_wait_timeout":                            sqlstore.Unavailable,
			"pgbouncer cannot connect to server":            sqlstore.Unavailable,
			"server login has been failing, cached error: connect failed (server_login_retry)":                                         sqlstore.Unavailable,
			"server login has been failing, cached error: FATAL: password authentication failed for user \"app\" (server_login_retry)": sqlstore.Other,
			"no such database: nix":                      sqlstore.Other,
			"unsupported startup parameter: search_path": sqlstore.Other,
		},
	} {
		for message, want := range messages {
			assert.Equal(t, want, class(&pgconn.PgError{Code: code, Message: message}), message)
		}
	}
}

// testFormats has settings that change how values look as text. They may be those of the role,
// too: then nothing in the DSN tells.
func testFormats(t *testing.T, dsn string) {
	table := backendtest.FreshTable()
	backendtest.Open(t, open, Config{DSN: dsn, Table: table, InitTable: true})
	for parameter, value := range map[string]string{"bytea_output": "escape", "datestyle": "German", "timezone": "Asia/Kathmandu", "intervalstyle": "sql_standard"} {
		dsn = withParameter(t, dsn, parameter, value)
	}
	for _, mode := range []string{"cache_statement", "exec", "simple_protocol", "describe_exec"} {
		t.Run(mode, func(t *testing.T) {
			storm(t, backendtest.Open(t, open, Config{DSN: withParameter(t, dsn, "default_query_exec_mode", mode), Table: table}))
		})
	}
}
