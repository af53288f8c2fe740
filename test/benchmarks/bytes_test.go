package benchmarks

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.mongodb.org/mongo-driver/bson"
	drivermongo "go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/sqlite"
)

// sizes are the bytes of the sessions that TestBytes stores.
var sizes = []int{100, 300, 1000}

// TestBytes weighs what sessions take in the store, with keys and indexes, and what a slid
// expiry writes to the log of the server.
func TestBytes(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	var rows, logs [][]string
	// each adds a line with what one session of each size takes, by the bytes of all.
	each := func(title string, lines *[][]string, of float64, bytes func(size int) float64) {
		row := []string{title}
		for _, size := range sizes {
			row = append(row, group(int(bytes(size)/of+0.5)))
		}
		*lines = append(*lines, row)
	}
	t.Run("SQLite", func(t *testing.T) {
		each("SQLite, the file", &rows, float64(n), func(size int) float64 { return weighSQLite(t, n, size) })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		title := titled(t, testserver.Postgres)
		full, slid := make(map[int]float64), make(map[int]float64)
		each(title+", just inserted", &rows, float64(n), func(size int) (bytes float64) {
			bytes, full[size], slid[size] = weighPostgres(t, n, size)
			return bytes
		})
		each(title+", after six updates of each", &rows, float64(n), func(size int) float64 { return full[size] })
		each(title+", WAL", &logs, 1, func(size int) float64 { return slid[size] })
	})
	t.Run("MariaDB", func(t *testing.T) {
		title := titled(t, testserver.MariaDB)
		slid := make(map[int]float64)
		each(title, &rows, float64(n), func(size int) (bytes float64) {
			bytes, slid[size] = weighMariaDB(t, n, size)
			return bytes
		})
		each(title+", redo log", &logs, 1, func(size int) float64 { return slid[size] })
	})
	t.Run("Redis", func(t *testing.T) {
		each(titled(t, testserver.Redis)+", memory", &rows, float64(n), func(size int) float64 { return weighRedis(t, n, size) })
	})
	t.Run("MongoDB", func(t *testing.T) {
		each("MongoDB, a document before compression", &rows, 1, func(size int) float64 { return weighMongo(t, size) })
	})
	report(t, "bytes", 6, []string{"bytes a session takes, of", "100", "300", "1,000"}, rows)
	report(t, "log-bytes", 2, []string{"bytes that a slid expiry writes, of a session of", "100", "300", "1,000"}, logs)
}

// sized is an encoded session of so many bytes.
func sized(t *testing.T, size int) []byte {
	t.Helper()
	for n := size; n > 0; n-- {
		b, err := session.GobEncoder(session.Data{"text": strings.Repeat("x", n)})
		if err != nil {
			t.Fatal(err)
		}
		if len(b) == size {
			return b
		}
	}
	t.Fatalf("no session has %d bytes", size)
	return nil
}

// number asks a database for one.
func number(t *testing.T, db *sql.DB, query string, args ...any) (n float64) {
	t.Helper()
	if err := db.QueryRow(query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func weighSQLite(t *testing.T, n, size int) float64 {
	path := filepath.Join(t.TempDir(), "bytes.db")
	manager(t, session.Options{Initer: sqlite.Initer(), Config: sqlite.Config{DSN: path, InitTable: true}})
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	exec(t, db, "INSERT INTO sessions (key, data, expired_at) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ?)"+
		" SELECT lower(hex(randomblob(16))), ?, ? FROM n", n, sized(t, size), time.Now().Add(time.Hour).UTC().Format(time.DateTime))
	return number(t, db, "PRAGMA page_count") * number(t, db, "PRAGMA page_size")
}

// weighPostgres returns what n sessions take when they have just been inserted, and after
// six updates of each, with a vacuum whenever a fifth of them has changed, as by default;
// and what is logged when one slides.
func weighPostgres(t *testing.T, n, size int) (inserted, updated, slid float64) {
	sys := sqlSystems[0]
	m, db := sys.open(t, sys.kind.Get(t).DSN, "bytes")
	exec(t, db, "TRUNCATE bytes")
	exec(t, db, "ALTER TABLE bytes SET (autovacuum_enabled = off)")
	exec(t, db, "INSERT INTO bytes (key, data, expired_at) SELECT md5(random()::text), $1::bytea, $2 FROM generate_series(1, $3::int)",
		sized(t, size), time.Now().Add(time.Hour).UTC(), n)
	const all = "SELECT pg_total_relation_size('bytes')"
	inserted = number(t, db, all)
	slid = slide(t, m, db, "key", func() float64 {
		return number(t, db, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
	})
	for round := range 6 {
		for fifth := range 5 {
			exec(t, db, "UPDATE bytes SET expired_at = expired_at + interval '3 minutes' WHERE abs(hashtext(key || $1)) % 5 = $2", fmt.Sprint(round), fifth)
			exec(t, db, "VACUUM bytes")
		}
	}
	updated = number(t, db, all)
	exec(t, db, "DROP TABLE bytes")
	return inserted, updated, slid
}

func weighMariaDB(t *testing.T, n, size int) (bytes, slid float64) {
	sys := sqlSystems[1]
	m, db := sys.open(t, sys.kind.Get(t).DSN, "bytes")
	for from := 0; from < n; from += 10_000 {
		exec(t, db, "INSERT INTO bytes (`key`, data, expired_at) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 100)"+
			" SELECT MD5(UUID()), ?, ? FROM n a JOIN n b", sized(t, size), time.Now().Add(time.Hour).UTC())
	}
	exec(t, db, "ANALYZE TABLE bytes")
	bytes = number(t, db, "SELECT data_length + index_length FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'bytes'")
	slid = slide(t, m, db, "`key`", func() float64 {
		var name string
		var lsn float64
		if err := db.QueryRow("SHOW GLOBAL STATUS LIKE 'Innodb_lsn_current'").Scan(&name, &lsn); err != nil {
			t.Fatal(err)
		}
		return lsn
	})
	exec(t, db, "DROP TABLE bytes")
	return bytes, slid
}

// slide returns by how much the log grows for each of some sessions when their expiry
// slides. It is the second time, as the first one may log whole pages.
func slide(t *testing.T, m *session.Manager, db *sql.DB, quoted string, written func() float64) float64 {
	rows, err := db.Query("SELECT " + quoted + " FROM bytes LIMIT 2000")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil || len(ids) == 0 {
		t.Fatalf("%d sessions, %v", len(ids), err)
	}
	var before float64
	for range 2 {
		for _, id := range ids {
			exec(t, db, "UPDATE bytes SET expired_at = expired_at - INTERVAL '31' MINUTE WHERE "+quoted+" = '"+id+"'")
		}
		before = written()
		for _, id := range ids {
			if err := m.Store().Touch(context.Background(), id); err != nil {
				t.Fatal(err)
			}
		}
	}
	return (written() - before) / float64(len(ids))
}

func weighRedis(t *testing.T, n, size int) float64 {
	ctx := context.Background()
	c := goredis.NewClient(&goredis.Options{Addr: testserver.Redis.Start(t).Addr}) // Nothing else is in its memory.
	defer func() { _ = c.Close() }()
	used := func() (bytes float64) {
		info, err := c.InfoMap(ctx, "memory").Result()
		if err == nil {
			_, err = fmt.Sscan(info["Memory"]["used_memory"], &bytes)
		}
		if err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	before, data := used(), sized(t, size)
	p := c.Pipeline()
	for i := range n {
		p.Set(ctx, "session:"+key(i), data, time.Hour)
		if i%10_000 == 9_999 {
			if _, err := p.Exec(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	return used() - before
}

// weighMongo returns the bytes of one document of the library's.
func weighMongo(t *testing.T, size int) float64 {
	ctx := context.Background()
	c, err := drivermongo.Connect(ctx, options.Client().ApplyURI(testserver.Mongo.Get(t).DSN).SetRetryWrites(false))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Disconnect(ctx) }()
	m, coll := mongoStore(t, c, fmt.Sprint("bytes", time.Now().UnixNano()), 0, time.Now())
	s, err := m.Store().Read(ctx, key(1))
	if err != nil {
		t.Fatal(err)
	}
	s.Set("text", strings.Repeat("x", size))
	if err := m.Store().Save(ctx, s); err != nil {
		t.Fatal(err)
	}
	doc, err := coll.FindOne(ctx, bson.D{{Key: "key", Value: key(1)}}).Raw()
	if err != nil {
		t.Fatal(err)
	}
	var fields struct{ Data []byte }
	if err := bson.Unmarshal(doc, &fields); err != nil {
		t.Fatal(err)
	}
	return float64(len(doc) - len(fields.Data) + size)
}
