package postgres

import (
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// mode is how statements are run. By default pgx prepares each of them, under a name, on each
// connection. A pooler such as PgBouncer may send the next call over another server
// connection, where the name is unknown or taken. Without names, pgx only looks up the types,
// once for each connection.
//
// Modes without a lookup return values as text, in formats that depend on the server's
// settings. Not all of these can be parsed, so nothing is read in those modes.
type mode struct {
	unnamed   atomic.Bool
	fallback  option // for statements without names
	batchable bool   // the pool's own mode needs no names, and so batches do not
}

func newMode(pool *pgxpool.Pool) *mode {
	cc := pool.Config().ConnConfig
	m := &mode{fallback: option{pgx.QueryExecModeCacheDescribe}, batchable: cc.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement}
	if cc.DescriptionCacheCapacity == 0 {
		m.fallback = option{pgx.QueryExecModeExec}
	}
	m.unnamed.Store(m.batchable || cc.StatementCacheCapacity == 0)
	return m
}

// option is what pgx has to know besides the parameters of a statement, or nil.
type option []any

func (o option) and(args ...any) []any {
	if o == nil {
		return args
	}
	return slices.Concat(o, args)
}

// do makes a call, and makes it again if nothing was done because of a name.
func (m *mode) do(call func(option) error) error {
	if !m.unnamed.Load() {
		if err := call(nil); !m.adapt(err) {
			return err
		}
	}
	return call(m.fallback)
}

// adapt stops using named statements if a call failed because of one, and so had no effect:
// the server does not know the name, or has it already. It reports whether to repeat the call.
func (m *mode) adapt(err error) bool {
	if err == nil {
		return false
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "26000" && pg.Code != "42P05" {
		return false
	}
	if !m.unnamed.Swap(true) {
		slog.Warn("postgres: prepared statements get lost, as they do behind a pooler, so they are no longer used: default_query_exec_mode=exec in Config.DSN, or in the settings of Config.Pool, is faster", "error", err)
	}
	return true
}

// shares reports whether statements can be sent together.
func (m *mode) shares() bool { return m.batchable || !m.unnamed.Load() }
