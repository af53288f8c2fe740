// Package mysql keeps sessions in a MySQL or MariaDB table:
//
//	f.Use(session.Sessioner(session.Options{
//		Initer: mysql.Initer(),
//		Config: mysql.Config{
//			DSN:       "user:password@tcp(localhost:3306)/app",
//			InitTable: true,
//		},
//	}))
//
// Any number of servers may share the table. A load is one SELECT, a commit one
// UPDATE or INSERT, without a transaction around it.
package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/sqlstore"
)

// Config contains options for the MySQL session store.
type Config struct {
	// Lifetime is the idle timeout. Default is one hour, also for values under a second.
	Lifetime time.Duration
	// DSN is the driver's data source name, with or without parseTime. It is required unless
	// DB is set.
	DSN string
	// DB is an open database, used instead of DSN. The library does not change its settings or
	// its pool, and does not close it. Without parseTime its loc must be UTC, which is the
	// default.
	DB *sql.DB
	// Table is the table for storing session data, or database.table. A part that contains a
	// dot must be in backquotes. Default is "sessions".
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

// maxConns limits the connections for a DSN. All may stay idle; otherwise a busy server would
// open new ones all the time.
const maxConns = 16

// Initer returns the session.Initer for the MySQL session store. Its Config is a
// Config. The store's Close method closes what was opened for a DSN.
func Initer() session.Initer { return session.BackendIniter(open) }

func open(ctx context.Context, cfg Config) (*sqlstore.Backend, session.StoreConfig, error) {
	sc := session.StoreConfig{Lifetime: cfg.Lifetime, Encoder: cfg.Encoder, Decoder: cfg.Decoder, Name: cmp.Or(cfg.Table, sqlstore.DefaultTable)}
	o := sqlstore.Options{Table: cfg.Table, InitTable: cfg.InitTable, Lazy: true}
	db := cfg.DB
	if db == nil {
		var err error
		if db, err = connect(cfg.DSN); err != nil {
			return nil, sc, err
		}
		o.Close = db.Close
	}
	o.Read, o.Write = sqlstore.DB(db), sqlstore.DB(db)
	if cfg.DB != nil {
		o.MaxData = half(ctx, db)
	}
	if err := checkAutocommit(ctx, db); err != nil {
		if o.Close != nil {
			_ = o.Close()
		}
		return nil, sc, err
	}
	b, err := sqlstore.New(ctx, dialect(cfg.DB != nil, fraction(ctx, db, cfg.Table)), o)
	if err != nil {
		err = fmt.Errorf("%w (check Config.DSN or Config.DB)", err)
	}
	return b, sc, err
}

// checkAutocommit returns an error if writes would never be stored. A server that is down is
// not an error.
func checkAutocommit(ctx context.Context, db *sql.DB) error {
	on := true
	if err := db.QueryRowContext(ctx, "SELECT @@autocommit").Scan(&on); err == nil && !on {
		return errors.New("mysql: autocommit is off, so nothing would be stored: add autocommit=1 to Config.DSN, or to the data source name of Config.DB")
	}
	return nil
}

// half returns the maximum size of a session if the driver sends the old and the new data in
// one packet, as it does by default, with room for the rest of the statement. It is 0 if the
// server cannot be asked now.
func half(ctx context.Context, db *sql.DB) (n int) {
	if err := db.QueryRowContext(ctx, "SELECT @@max_allowed_packet").Scan(&n); err != nil {
		return 0
	}
	return max(1, n/2-1024)
}

func connect(dsn string) (*sql.DB, error) {
	if dsn == "" {
		return nil, errors.New("mysql: Config.DSN is empty: set it to a data source name, or Config.DB to an open database")
	}
	const notDSN = "mysql: Config.DSN is not a data source name, such as user:password@tcp(host:3306)/database"
	mc, err := mysql.ParseDSN(dsn)
	// What the driver takes for the network may be the password.
	if err != nil && strings.Contains(err.Error(), "for network") || err == nil && strings.Contains(mc.Net, ":") {
		return nil, errors.New(notDSN + ": it has no @ before the network, or no network before the address")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", notDSN, err)
	}
	mc.ParseTime = true
	mc.ClientFoundRows = true
	// Without strict mode the server truncates what a column cannot hold, and reports
	// success. Without autocommit it does so, and stores nothing.
	params := map[string]string{"sql_mode": "CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES')", "autocommit": "1"}
	maps.Copy(params, mc.Params) // The DSN wins.
	// Only between equal character sets the server passes the bytes of a session on as they
	// are. The server's init_connect may have set another.
	maps.Copy(params, map[string]string{"character_set_client": "utf8mb4", "collation_connection": "utf8mb4_general_ci", "character_set_results": "utf8mb4"})
	mc.Params = params
	if mc.MaxAllowedPacket == mysql.NewConfig().MaxAllowedPacket {
		// The driver asks the server, and so sends large values in parts. Then a session may
		// be as large as one packet, and can be replaced by another such one.
		mc.MaxAllowedPacket = 0
	}
	connector, err := mysql.NewConnector(mc)
	if err != nil {
		return nil, fmt.Errorf("mysql: Config.DSN: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(maxConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return db, nil
}
