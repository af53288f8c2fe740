// Package postgres keeps sessions in a PostgreSQL table, using the driver pgx:
//
//	f.Use(session.Sessioner(session.Options{
//		Initer: postgres.Initer(),
//		Config: postgres.Config{
//			DSN:       "postgres://user:password@localhost:5432/app",
//			InitTable: true,
//		},
//	}))
//
// Any number of servers may share the table. A load is one SELECT, a commit one UPDATE or
// INSERT. Concurrent requests share round trips, and their commits share a transaction.
package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib" // Applications open it by its name, and v1.6.6 has it registered.

	"github.com/flamego/session"
	"github.com/flamego/session/internal/sqlstore"
)

// Config contains options for the PostgreSQL session store.
type Config struct {
	// Lifetime is the idle timeout. Default is one hour, also for values under a second.
	Lifetime time.Duration
	// DSN is the connection string, as a URL or as keywords and values, with the parameters of
	// pgx and of its pool. pool_max_conns is 16 by default. DSN is required unless Pool is
	// set.
	DSN string
	// Pool is an open pool, used instead of DSN. The library does not close it.
	Pool *pgxpool.Pool
	// Table is the table for storing session data, or schema.table. A part that contains a dot
	// must be in double quotes. Default is "sessions".
	Table string
	// Encoder is the encoder to encode session data. Default is session.GobEncoder.
	Encoder session.Encoder
	// Decoder is the decoder to decode session data. Default is session.GobDecoder.
	Decoder session.Decoder
	// InitTable creates the table and its index on expired_at at start, if missing. Default is
	// false: at start a missing table is then an error, and a server that is down is not. With
	// InitTable, a server that is down is an error at start.
	InitTable bool
}

// Initer returns the session.Initer for the PostgreSQL session store. Its Config
// is a Config. The store's Close method closes what was opened for a DSN.
func Initer() session.Initer { return session.BackendIniter(open) }

func open(ctx context.Context, cfg Config) (*sqlstore.Backend, session.StoreConfig, error) {
	sc := session.StoreConfig{Lifetime: cfg.Lifetime, Encoder: cfg.Encoder, Decoder: cfg.Decoder, Name: cmp.Or(cfg.Table, sqlstore.DefaultTable)}
	pool, end, err := connect(cfg)
	if err != nil {
		return nil, sc, err
	}
	n := native{pool, newMode(pool), nil}
	n.execs = newExecs(n)
	b, err := sqlstore.New(ctx, dialect, sqlstore.Options{
		Read: n, Write: n, Table: cfg.Table, InitTable: cfg.InitTable, Lazy: true, Close: end,
		MaxData: maxData,
	})
	if err != nil {
		err = fmt.Errorf("%w (check Config.DSN or Config.Pool)", err)
	}
	return b, sc, err
}

// maxData is the maximum size of a session. A message to the server has at most 1 GiB, and the
// one that changes a session contains both the old and the new data.
const maxData = 256 << 20

// connect returns the user's pool, or opens one, which end closes.
func connect(cfg Config) (pool *pgxpool.Pool, end func() error, err error) {
	if cfg.Pool != nil {
		return cfg.Pool, func() error { return nil }, nil
	}
	if cfg.DSN == "" {
		return nil, nil, errors.New("postgres: Config.DSN is empty: set it to a connection string, or Config.Pool to an open pool")
	}
	pc, err := pgxpool.ParseConfig(cfg.DSN)
	if err != nil {
		// The driver repeats the DSN before its reason, and does not find every
		// password in it.
		text := err.Error()
		reason := strings.TrimPrefix(text[strings.LastIndex(text, "`")+1:], ": ")
		return nil, nil, fmt.Errorf("postgres: Config.DSN is not a connection string, such as postgres://user:password@host:5432/database: %s", reason)
	}
	if strings.LastIndex(pc.ConnConfig.Host, "@") > 0 { // At 0 it is a socket.
		return nil, nil, errors.New("postgres: Config.DSN has an @ in the name of the host: in a password write it as %40")
	}
	if !strings.Contains(cfg.DSN, "pool_max_conns") {
		pc.MaxConns = 16
	}
	// After a fail-over, a connection may lead to a server that only reads. It would refuse
	// all writes for as long as it is kept.
	stays := pc.ConnConfig.OnPgError
	pc.ConnConfig.OnPgError = func(c *pgconn.PgConn, err *pgconn.PgError) bool {
		return err.Code != "25006" && stays(c, err)
	}
	pool, err = pgxpool.NewWithConfig(context.Background(), pc)
	if err != nil {
		return nil, nil, fmt.Errorf("postgres: Config.DSN: %w", err)
	}
	return pool, func() error { pool.Close(); return nil }, nil
}

// native runs statements by pgx itself, which costs less than database/sql and prepares
// them for each connection.
type native struct {
	pool *pgxpool.Pool
	*mode
	execs *execs
}

func (n native) Run(ctx context.Context, text string) error {
	_, err := n.pool.Exec(ctx, text)
	return err
}

func (n native) Statement(text string) sqlstore.Statement { return statement{n, text} }

type statement struct {
	native
	text string
}

func (s statement) Scan(ctx context.Context, arg any, dest ...any) error {
	return s.do(func(o option) error { return s.pool.QueryRow(ctx, s.text, o.and(arg)...).Scan(dest...) })
}

func (s statement) Each(ctx context.Context, args []any, row func(scan func(dest ...any) error) error) error {
	return s.do(func(o option) error {
		rows, err := s.pool.Query(ctx, s.text, o.and(args...)...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := row(rows.Scan); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

func (s statement) Close() error { return nil }

var dialect = sqlstore.Dialect{
	Name:        "postgres",
	SharesLoads: true,
	Quote:       '"',
	Key:         "key",
	Placeholder: func(n int) string { return fmt.Sprint("$", n) },
	// Without the LATERAL and the LIMIT, a small table is scanned sequentially, and still is
	// when it has grown.
	ListLoad: "SELECT found.* FROM unnest(?::text[]) AS list (id) CROSS JOIN LATERAL (SELECT {key}, data, expired_at FROM {table} WHERE {key} = list.id LIMIT 1) AS found",
	// The rows are locked before they are deleted: a row that is touched meanwhile no
	// longer matches, and one that another server is deleting is skipped.
	Sweep: "DELETE FROM {table} WHERE {key} = ANY(ARRAY(SELECT {key} FROM {table} WHERE expired_at <= ? ORDER BY expired_at LIMIT ? FOR UPDATE SKIP LOCKED))",
	// Two visitors, or two sign-ins of one owner, may conflict at any time. That is not an
	// error, and must not be one in the server's log.
	OnConflict: " ON CONFLICT DO NOTHING",
	MaxName:    63,
	Schema: func(t sqlstore.Table) []string {
		return []string{
			"CREATE TABLE IF NOT EXISTS " + t.String() + ` (key TEXT COLLATE "C" PRIMARY KEY, data BYTEA NOT NULL, expired_at TIMESTAMP WITH TIME ZONE NOT NULL)`,
			"CREATE INDEX IF NOT EXISTS " + t.Quote(t.Index()) + " ON " + t.String() + " (expired_at)",
			// If the name is that of something else, such as a table that was renamed.
			"CREATE INDEX ON " + t.String() + " (expired_at)",
		}
	},
	Indexed: func(t sqlstore.Table) (string, []any) {
		return "SELECT count(*) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]" +
			" WHERE i.indrelid = to_regclass(?) AND i.indisvalid AND i.indpred IS NULL AND a.attname = 'expired_at'", []any{t.String()}
	},
	Class: class,
}

func class(err error) sqlstore.Class {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return sqlstore.Other
	}
	switch pg.Code {
	case "0A000":
		if pg.Routine == "RevalidateCachedQuery" { // A column has got another type. pgx prepares it again.
			return sqlstore.Busy
		}
	case "23505", "42P07": // unique violation, also in the catalogue; duplicate table
		return sqlstore.Exists
	case "40001", "40P01": // serialization failure, deadlock
		return sqlstore.Busy
	case "42P01":
		return sqlstore.NoTable
	case "42501":
		return sqlstore.Denied
	case "57P01", "57P02", "57P03", "57P05", // shut down, crashed, starting up, idle for too long
		"25006", "53300", "57014", "55P03": // read-only, as a standby is; too many connections; time-outs
		return sqlstore.Unavailable
	case "08P01": // PgBouncer has this for everything.
		for _, words := range pgBouncerWaits {
			if strings.Contains(pg.Message, words) && !strings.Contains(pg.Message, "FATAL") {
				return sqlstore.Unavailable
			}
		}
	}
	return sqlstore.Other
}

// pgBouncerWaits are words of PgBouncer's errors that pass by themselves. Where it repeats
// what the server has said, that begins with FATAL.
var pgBouncerWaits = []string{
	"cannot connect to server", "server_login_retry", "conn crashed", "timeout", "shutting down", "max_client_conn", "max_db_connections", "max_user_connections",
}
