package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/alexedwards/scs/goredisstore"
	"github.com/alexedwards/scs/mysqlstore"
	"github.com/alexedwards/scs/pgxstore"
	"github.com/alexedwards/scs/sqlite3store"
	"github.com/alexedwards/scs/v2"
	_ "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite"

	"github.com/flamego/session/test/compare/contract"
)

func openSCS(backend, dsn string) (http.Handler, func() error, error) {
	m := scs.New()
	m.Lifetime = time.Hour
	store, closeStore, err := scsStore(backend, dsn)
	if err != nil {
		return nil, nil, err
	}
	if store != nil { // Its default is the memory.
		m.Store = store
	}

	visit := func(w http.ResponseWriter, r *http.Request) {
		n := m.GetInt(r.Context(), "visits") + 1
		m.Put(r.Context(), "visits", n)
		answer(w, strconv.Itoa(n))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /untouched", func(w http.ResponseWriter, _ *http.Request) { answer(w, "ok") })
	mux.HandleFunc("GET /read", func(w http.ResponseWriter, r *http.Request) {
		answer(w, strconv.Itoa(m.GetInt(r.Context(), "visits")))
	})
	mux.HandleFunc("GET /write", visit)
	mux.HandleFunc("GET /new", visit)
	mux.HandleFunc("GET /fat", func(w http.ResponseWriter, r *http.Request) {
		p, err := contract.Payload(r.URL.Query().Get("n"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		m.Put(r.Context(), "payload", p)
		answer(w, "ok")
	})
	mux.HandleFunc("GET /cart", func(w http.ResponseWriter, r *http.Request) {
		m.Put(r.Context(), "cart", contract.NewCart())
		answer(w, "ok")
	})
	return m.LoadAndSave(mux), closeStore, nil
}

// scsStore makes the tables as the stores' documentation has them.
func scsStore(backend, dsn string) (scs.Store, func() error, error) {
	switch backend {
	case "memory":
		return nil, func() error { return nil }, nil
	case "redis":
		c := redis.NewClient(&redis.Options{Addr: dsn})
		return goredisstore.New(c), c.Close, nil
	case "postgres":
		pool, err := pgxpool.New(context.Background(), dsn)
		if err != nil {
			return nil, nil, err
		}
		_, err = pool.Exec(context.Background(), "CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL);"+
			"CREATE INDEX IF NOT EXISTS sessions_expiry_idx ON sessions (expiry)")
		return pgxstore.New(pool), func() error { pool.Close(); return nil }, err
	case "mysql":
		// As many connections as ours opens; database/sql keeps only two by itself.
		db, err := openSQL("mysql", dsn, 16, "CREATE TABLE IF NOT EXISTS sessions (token CHAR(43) PRIMARY KEY, data LONGBLOB NOT NULL, expiry TIMESTAMP(6) NOT NULL, INDEX sessions_expiry_idx (expiry))")
		if err != nil {
			return nil, nil, err
		}
		return mysqlstore.New(db), db.Close, nil
	case "sqlite":
		db, err := openSQL("sqlite", dsn, 4, "CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL)",
			"CREATE INDEX IF NOT EXISTS sessions_expiry_idx ON sessions (expiry)")
		if err != nil {
			return nil, nil, err
		}
		return sqlite3store.New(db), db.Close, nil
	}
	return nil, nil, fmt.Errorf("no backend %q for scs", backend)
}

func openSQL(driver, dsn string, conns int, queries ...string) (*sql.DB, error) {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	for _, q := range queries {
		if _, err := db.Exec(q); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return db, nil
}
