// Package sqlite keeps sessions in a SQLite database, using the pure Go driver
// modernc.org/sqlite:
//
//	f.Use(session.Sessioner(session.Options{
//		Initer: sqlite.Initer(),
//		Config: sqlite.Config{DSN: "sessions.db", InitTable: true},
//	}))
//
// Any number of processes on one machine may share the file. It is opened in write-ahead mode,
// so that readers do not wait for writers. Commits survive the end of the process; only a
// power failure can lose the latest ones. While the database is open, there are two more files
// in its folder.
package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"time"

	_ "modernc.org/sqlite" // The driver "sqlite".

	"github.com/flamego/session"
	"github.com/flamego/session/internal/sqlstore"
)

// Config contains options for the SQLite session store.
type Config struct {
	// Lifetime is the idle timeout. Default is one hour, also for values under a second.
	Lifetime time.Duration
	// DSN is the path of the database file, or a "file:" URI, optionally followed by "?" and
	// the driver's parameters. Defaults of the library are _pragma=journal_mode(WAL) and
	// _pragma=synchronous(NORMAL). A busy timeout has no effect: the library itself waits for
	// locks, for up to Options.StoreTimeout. In-memory databases work too, and end with the
	// process. If the application opens the file with another SQLite library, set DB instead:
	// two libraries in one process do not see each other's locks. DSN is required unless DB is
	// set.
	DSN string
	// Table is the table for storing session data, or database.table for one in an attached
	// database. A part that contains a dot must be in double quotes. Default is "sessions".
	Table string
	// Encoder is the encoder to encode session data. Default is session.GobEncoder.
	Encoder session.Encoder
	// Decoder is the decoder to decode session data. Default is session.GobDecoder.
	Decoder session.Decoder
	// InitTable creates the table and its index on expired_at at start, if missing.
	// Default is false: a missing table is then an error.
	InitTable bool
	// DB is an open database, used instead of DSN. The library does not change its settings or
	// its pool, and does not close it. No busy timeout is needed: the library retries when the
	// database is locked.
	DB *sql.DB
}

// Initer returns the session.Initer for the SQLite session store. Its Config is a
// Config. The store's Close method closes what was opened for a DSN.
func Initer() session.Initer { return session.BackendIniter(open) }

func open(ctx context.Context, cfg Config) (*sqlstore.Backend, session.StoreConfig, error) {
	sc := session.StoreConfig{Lifetime: cfg.Lifetime, Encoder: cfg.Encoder, Decoder: cfg.Decoder, Name: cmp.Or(cfg.Table, sqlstore.DefaultTable)}
	o := sqlstore.Options{Read: sqlstore.DB(cfg.DB), Write: sqlstore.DB(cfg.DB), Table: cfg.Table, InitTable: cfg.InitTable}
	if cfg.DB == nil {
		if cfg.DSN == "" {
			return nil, sc, errors.New("sqlite: Config.DSN is empty: set it to the path of the database file, or Config.DB to an open database")
		}
		for _, name := range sql.Drivers() {
			if name != "sqlite" && strings.Contains(name, "sqlite") {
				slog.Warn("sqlite: two SQLite libraries in one process do not see each other's locks: if the application opens the file of Config.DSN by the other one, changes are lost: pass its database as Config.DB, or use a file of its own", "driver", name)
			}
		}
		if err := connect(ctx, withDefaults(cfg.DSN), &o); err != nil {
			return nil, sc, remedy(cfg, fmt.Errorf("sqlite: open Config.DSN: %w", err))
		}
	}
	b, err := sqlstore.New(ctx, dialect, o)
	return b, sc, remedy(cfg, err)
}

// connect opens one connection for writing, since SQLite has one writer at a time
// and a queue in Go is fairer and faster than its locks, and a few for reading.
func connect(ctx context.Context, dsn string, o *sqlstore.Options) error {
	create(dsn)
	write, err := newConns(dsn, 1)
	if err != nil {
		return err
	}
	read, err := newConns(dsn, max(4, runtime.GOMAXPROCS(0)))
	if err != nil {
		return errors.Join(err, write.Close())
	}
	o.Read, o.Write = read, write
	o.Close = func() error { return errors.Join(read.Close(), write.Close()) }

	// Of several processes that open a new file, one switches it to write-ahead
	// mode, and the others have to try again.
	var mode string
	err = sqlstore.Retry(ctx, class, func() error {
		return write.Statement("PRAGMA journal_mode").Each(ctx, nil, func(scan func(...any) error) error {
			return scan(&mode)
		})
	})
	if err == nil {
		write.file, err = write.find(ctx)
		read.file = write.file
	}
	if err != nil {
		return errors.Join(err, o.Close())
	}
	// In any other mode readers and writers wait for each other. An in-memory database
	// has another mode, and belongs to its connection.
	if mode != "wal" {
		o.Read = o.Write
	}
	return nil
}
