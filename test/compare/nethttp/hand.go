package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/flamego/session/test/compare/contract"
)

// keeper is a storage system, called as directly as its driver allows. What is not there
// is nil.
type keeper interface {
	load(ctx context.Context, id string) ([]byte, error)
	create(ctx context.Context, id string, data []byte) error
	// replace stores data unless another request has stored something since old. It is
	// no error then: whoever writes this by hand loses the update.
	replace(ctx context.Context, id string, old, data []byte) error
}

// openHand is a program without a session library: its handlers call the driver. A
// session is a number and a text.
func openHand(backend, dsn string) (http.Handler, func() error, error) {
	k, closeStore, err := keeperOf(backend, dsn)
	if err != nil {
		return nil, nil, err
	}
	const name = "id"
	load := func(r *http.Request) (id string, data []byte, err error) {
		c, _ := r.Cookie(name)
		if c == nil {
			return "", nil, nil // Another visitor without a session.
		}
		data, err = k.load(r.Context(), c.Value)
		return c.Value, data, err
	}
	save := func(w http.ResponseWriter, r *http.Request, id string, old, data []byte) error {
		if old != nil {
			return k.replace(r.Context(), id, old, data)
		}
		id = rand.Text()
		http.SetCookie(w, &http.Cookie{Name: name, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		return k.create(r.Context(), id, data)
	}
	// with changes the session, unless change returns the same text and number.
	with := func(change func(r *http.Request, n int, text string) (int, string, error), say func(n int) string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			id, old, err := load(r)
			n, text := 0, ""
			if err == nil && old != nil {
				number, rest, _ := bytes.Cut(old, []byte("\n"))
				text = string(rest)
				n, err = strconv.Atoi(string(number))
			}
			m, newText := n, text
			if err == nil {
				m, newText, err = change(r, n, text)
			}
			if err == nil && (m != n || newText != text) {
				err = save(w, r, id, old, []byte(strconv.Itoa(m)+"\n"+newText))
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			answer(w, say(m))
		}
	}
	visit := with(func(_ *http.Request, n int, text string) (int, string, error) { return n + 1, text, nil }, strconv.Itoa)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /untouched", func(w http.ResponseWriter, _ *http.Request) { answer(w, "ok") })
	mux.HandleFunc("GET /read", with(func(_ *http.Request, n int, text string) (int, string, error) { return n, text, nil }, strconv.Itoa))
	mux.HandleFunc("GET /write", visit)
	mux.HandleFunc("GET /new", visit)
	mux.HandleFunc("GET /fat", with(func(r *http.Request, n int, _ string) (int, string, error) {
		text, err := contract.Payload(r.URL.Query().Get("n"))
		return n, text, err
	}, func(int) string { return "ok" }))
	mux.HandleFunc("GET /cart", with(func(_ *http.Request, n int, _ string) (int, string, error) {
		text, err := json.Marshal(contract.NewCart()) // Which nobody reads, so nobody decodes it.
		return n, string(text), err
	}, func(int) string { return "ok" }))
	return mux, closeStore, nil
}

func keeperOf(backend, dsn string) (keeper, func() error, error) {
	nothing := func() error { return nil }
	switch backend {
	case "memory":
		return &memory{sessions: make(map[string][]byte)}, nothing, nil
	case "file":
		return folder(dsn), nothing, os.MkdirAll(dsn, 0o700)
	case "redis":
		c := redis.NewClient(&redis.Options{Addr: dsn})
		return redisKeeper{c}, c.Close, nil
	case "postgres":
		pool, err := pgxpool.New(context.Background(), dsn)
		if err != nil {
			return nil, nil, err
		}
		_, err = pool.Exec(context.Background(), "CREATE TABLE IF NOT EXISTS by_hand (id TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)")
		return postgresKeeper{pool}, func() error { pool.Close(); return nil }, err
	case "mysql":
		return sqlKeeperOf("mysql", dsn, 16, "CREATE TABLE IF NOT EXISTS by_hand (id CHAR(26) PRIMARY KEY, data LONGBLOB NOT NULL, expiry DATETIME(6) NOT NULL)")
	case "sqlite":
		return sqlKeeperOf("sqlite", dsn, 4, "CREATE TABLE IF NOT EXISTS by_hand (id TEXT PRIMARY KEY, data BLOB NOT NULL, expiry TEXT NOT NULL)")
	case "mongo":
		u, err := url.Parse(dsn)
		if err != nil {
			return nil, nil, err
		}
		c, err := mongo.Connect(context.Background(), options.Client().ApplyURI(dsn))
		if err != nil {
			return nil, nil, err
		}
		stop := func() error { return c.Disconnect(context.Background()) }
		return mongoKeeper{c.Database(strings.Trim(u.Path, "/")).Collection("by_hand")}, stop, nil
	}
	return nil, nil, fmt.Errorf("no backend %q by hand", backend)
}

const lifetime = time.Hour

type memory struct {
	mu       sync.RWMutex
	sessions map[string][]byte
}

func (m *memory) load(_ context.Context, id string) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.sessions[id], nil
}

func (m *memory) create(_ context.Context, id string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions[id] = data
	return nil
}

func (m *memory) replace(_ context.Context, id string, old, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if bytes.Equal(m.sessions[id], old) {
		m.sessions[id] = data
	}
	return nil
}

// folder has a file for each session, which is replaced as a whole, so that nobody reads
// half of one. Nothing keeps two processes apart.
type folder string

func (f folder) load(_ context.Context, id string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(string(f), filepath.Base(id)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

func (f folder) create(_ context.Context, id string, data []byte) error {
	path := filepath.Join(string(f), filepath.Base(id))
	temp := path + rand.Text()
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

func (f folder) replace(ctx context.Context, id string, _, data []byte) error {
	return f.create(ctx, id, data)
}

type redisKeeper struct{ c *redis.Client }

func (k redisKeeper) load(ctx context.Context, id string) ([]byte, error) {
	data, err := k.c.Get(ctx, "hand:"+id).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return data, err
}

func (k redisKeeper) create(ctx context.Context, id string, data []byte) error {
	return k.c.Set(ctx, "hand:"+id, data, lifetime).Err()
}

func (k redisKeeper) replace(ctx context.Context, id string, _, data []byte) error {
	return k.create(ctx, id, data)
}

type postgresKeeper struct{ pool *pgxpool.Pool }

func (k postgresKeeper) load(ctx context.Context, id string) (data []byte, err error) {
	var expiry time.Time
	err = k.pool.QueryRow(ctx, "SELECT data, expiry FROM by_hand WHERE id = $1", id).Scan(&data, &expiry)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return data, err
}

func (k postgresKeeper) create(ctx context.Context, id string, data []byte) error {
	_, err := k.pool.Exec(ctx, "INSERT INTO by_hand (id, data, expiry) VALUES ($1, $2, $3)", id, data, time.Now().Add(lifetime))
	return err
}

func (k postgresKeeper) replace(ctx context.Context, id string, old, data []byte) error {
	_, err := k.pool.Exec(ctx, "UPDATE by_hand SET data = $1, expiry = $2 WHERE id = $3 AND data = $4", data, time.Now().Add(lifetime), id, old)
	return err
}

// sqlKeeper uses prepared statements: one round trip each.
type sqlKeeper struct{ get, add, set *sql.Stmt }

func sqlKeeperOf(driver, dsn string, conns int, table string) (keeper, func() error, error) {
	db, err := openSQL(driver, dsn, conns, table)
	if err != nil {
		return nil, nil, err
	}
	var k sqlKeeper
	for _, s := range []struct {
		to    **sql.Stmt
		query string
	}{
		{&k.get, "SELECT data FROM by_hand WHERE id = ? AND expiry > ?"},
		{&k.add, "INSERT INTO by_hand (id, data, expiry) VALUES (?, ?, ?)"},
		{&k.set, "UPDATE by_hand SET data = ?, expiry = ? WHERE id = ? AND data = ?"},
	} {
		if *s.to, err = db.Prepare(s.query); err != nil {
			return nil, nil, errors.Join(err, db.Close())
		}
	}
	return k, db.Close, nil
}

func (k sqlKeeper) load(ctx context.Context, id string) (data []byte, err error) {
	err = k.get.QueryRowContext(ctx, id, time.Now()).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return data, err
}

func (k sqlKeeper) create(ctx context.Context, id string, data []byte) error {
	_, err := k.add.ExecContext(ctx, id, data, time.Now().Add(lifetime))
	return err
}

func (k sqlKeeper) replace(ctx context.Context, id string, old, data []byte) error {
	_, err := k.set.ExecContext(ctx, data, time.Now().Add(lifetime), id, old)
	return err
}

type mongoKeeper struct{ c *mongo.Collection }

type document struct {
	ID     string    `bson:"_id"`
	Data   []byte    `bson:"data"`
	Expiry time.Time `bson:"expiry"`
}

func (k mongoKeeper) load(ctx context.Context, id string) ([]byte, error) {
	var d document
	err := k.c.FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, nil
	}
	return d.Data, err
}

func (k mongoKeeper) create(ctx context.Context, id string, data []byte) error {
	_, err := k.c.InsertOne(ctx, document{id, data, time.Now().Add(lifetime)})
	return err
}

func (k mongoKeeper) replace(ctx context.Context, id string, old, data []byte) error {
	_, err := k.c.UpdateOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "data", Value: old}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "data", Value: data}, {Key: "expiry", Value: time.Now().Add(lifetime)}}}})
	return err
}
