package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite"
)

// A filler brings a store from so many sessions to so many, and returns cookies that
// are spread over all of them. The sessions are copies of one that the program has
// made, by the shortest way that the storage system has: through the program, a million
// would take minutes.
type filler func(ctx context.Context, s *stage, from, to int) (cookies []string, err error)

// fill is nil for a store that has none.
func (st *store) fill() filler {
	switch st.name {
	case "memory":
		return fillMemory
	case "file":
		return fillFiles
	case "redis":
		return fillRedis
	case "sqlite", "postgres", "mysql":
		return fillSQL
	}
	return nil
}

const spread = 4096 // cookies, at most

// spreadOver makes the cookies of sessions whose IDs follow from their numbers.
func spreadOver(name string, n int, id func(int) string) (cookies []string) {
	for i := range min(n, spread) {
		cookies = append(cookies, name+"="+id(1+i*(n/min(n, spread))))
	}
	return cookies
}

// one makes a session to copy.
func one(s *stage) (name, id string, err error) {
	v, err := dial(s.procs[0].addr)
	if err != nil {
		return "", "", err
	}
	defer v.close()
	_, cookie, err := v.ask(fresh, "")
	if err != nil {
		return "", "", err
	}
	name, id, ok := strings.Cut(cookie, "=")
	if !ok {
		return "", "", errors.New("a new session without a cookie")
	}
	return name, id, nil
}

func numbered(i int) string { return fmt.Sprintf("%032d", i) }

// fillMemory has no other way than through the program, within its process. It takes
// steps, so that it can be ended.
func fillMemory(ctx context.Context, s *stage, from, to int) ([]string, error) {
	cookies := s.cookies
	const step = 100_000
	for i := from; i < to; i += step {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var some []string
		if err := s.procs[0].order(fmt.Sprint("fill ", min(step, to-i)), &some); err != nil {
			return nil, err
		}
		cookies = append(cookies, some...)
	}
	return cookies, nil
}

// fillFiles spreads the files over the folders, as random IDs do.
func fillFiles(ctx context.Context, s *stage, from, to int) ([]string, error) {
	name, id, err := one(s)
	if err != nil {
		return nil, err
	}
	path := func(id string) string { return filepath.Join(s.dsn, id[:1], id[1:2], id) }
	data, err := os.ReadFile(path(id))
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path(id))
	if err != nil {
		return nil, err
	}
	hashed := func(i int) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(fmt.Sprint(i))))[:32] }
	var next atomic.Int64
	next.Store(int64(from))
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for ctx.Err() == nil && errs[w] == nil {
				i := int(next.Add(1))
				if i > to {
					return
				}
				// Without the time, the first read would also have to slide the expiry.
				errs[w] = errors.Join(writeFile(path(hashed(i)), data), os.Chtimes(path(hashed(i)), time.Time{}, info.ModTime()))
			}
		})
	}
	wg.Wait()
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return nil, err
	}
	return spreadOver(name, to, hashed), nil
}

func writeFile(path string, data []byte) error {
	err := os.WriteFile(path, data, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
	}
	return err
}

var copyKeys = redis.NewScript(`
local value = redis.call('GET', KEYS[1])
local ttl = redis.call('PTTL', KEYS[1]) -- With less, the first read would also have to slide it.
for i = ARGV[1], ARGV[2] do
	redis.call('SET', ARGV[3] .. string.format('%032d', i), value, 'PX', ttl)
end
return redis.status_reply('OK')`)

// fillRedis leaves its keys to their expiry, an hour later.
func fillRedis(ctx context.Context, s *stage, from, to int) ([]string, error) {
	name, id, err := one(s)
	if err != nil {
		return nil, err
	}
	c := redis.NewClient(&redis.Options{Addr: s.dsn})
	defer func() { _ = c.Close() }()
	const prefix, step = "session:", 10_000
	for i := from + 1; i <= to; i += step {
		if err := copyKeys.Run(ctx, c, []string{prefix + id}, i, min(to, i+step-1), prefix).Err(); err != nil {
			return nil, err
		}
	}
	return spreadOver(name, to, numbered), settleRedis(ctx, c)
}

// settleRedis has the server rewrite its log, which it would do by itself after so many
// writes, and waits for the end: a process of its own does it, and takes a core.
func settleRedis(ctx context.Context, c *redis.Client) error {
	state, err := c.InfoMap(ctx, "persistence").Result()
	if err != nil || state["Persistence"]["aof_enabled"] != "1" {
		return err
	}
	if err := c.BgRewriteAOF(ctx).Err(); err != nil && !strings.Contains(err.Error(), "in progress") {
		return err
	}
	for {
		state, err := c.InfoMap(ctx, "persistence").Result()
		if now := state["Persistence"]; err != nil || now["aof_rewrite_in_progress"] == "0" && now["aof_rewrite_scheduled"] == "0" {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// copyRows makes the rows with the numbers from the first parameter to the second, of
// the one whose key is the third. settle does what the server would do by itself within
// a minute.
var copyRows = map[string]struct{ driver, insert, settle string }{
	"sqlite": {"sqlite", "WITH RECURSIVE n(i) AS (VALUES(?1) UNION ALL SELECT i + 1 FROM n WHERE i < ?2)" +
		" INSERT INTO sessions (key, data, expired_at) SELECT printf('%032d', i), data, expired_at FROM n, (SELECT data, expired_at FROM sessions WHERE key = ?3)",
		"ANALYZE sessions"},
	"postgres": {"pgx", "INSERT INTO sessions (key, data, expired_at) SELECT lpad(i::text, 32, '0'), data, expired_at" +
		" FROM generate_series($1::int, $2::int) i, (SELECT data, expired_at FROM sessions WHERE key = $3) one",
		"VACUUM ANALYZE sessions"},
	// MariaDB's tables seq_1_to_N have no parameters.
	"mysql": {"mysql", "INSERT INTO sessions (`key`, data, expired_at) SELECT LPAD(? + seq - 1, 32, '0'), data, expired_at" +
		" FROM seq_1_to_100000, (SELECT data, expired_at FROM sessions WHERE `key` = ?) one WHERE ? + seq - 1 <= ?",
		"ANALYZE TABLE sessions"},
}

func fillSQL(ctx context.Context, s *stage, from, to int) (_ []string, err error) {
	name, id, err := one(s)
	if err != nil {
		return nil, err
	}
	sys := copyRows[s.st.name]
	db, err := sql.Open(sys.driver, s.dsn)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	const step = 100_000
	for i := from + 1; i <= to; i += step {
		args := []any{i, min(to, i+step-1), id}
		if s.st.name == "mysql" { // It counts its parameters by their place.
			args = []any{i, id, i, min(to, i+step-1)}
		}
		if _, err := db.ExecContext(ctx, sys.insert, args...); err != nil {
			return nil, err
		}
	}
	if _, err := db.ExecContext(ctx, sys.settle); err != nil {
		return nil, err
	}
	return spreadOver(name, to, numbered), nil
}
