// Command move copies sessions from a SQLite file to Redis, so that nobody is signed out when
// the servers change over. Stop the old servers before it runs, and start the new ones after
// it: what the old ones stored meanwhile would be missing, and a session that they ended would
// live again.
package main

import (
	"context"
	"database/sql"
	"errors"
	"log"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite"
)

func main() {
	db, err := sql.Open("sqlite", "file:"+os.Args[1]+"?mode=ro")
	if err != nil {
		log.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: os.Args[2]})
	n, err := move(context.Background(), db, client, "session:")
	log.Printf("copied %d records", n)
	if err = errors.Join(err, client.Close(), db.Close()); err != nil {
		log.Fatal(err)
	}
}

// move copies what has not expired. A record is the same on all backends: its key, its bytes,
// and when it expires. The library's own, such as lists of an owner's sessions, are among them.
func move(ctx context.Context, from *sql.DB, to *redis.Client, prefix string) (n int, err error) {
	rows, err := from.QueryContext(ctx, "SELECT key, data, expired_at FROM sessions")
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var key, expiry string
		var data []byte
		if err := rows.Scan(&key, &data, &expiry); err != nil {
			return n, err
		}
		at, err := time.Parse(time.DateTime, expiry) // In UTC, also with a fraction.
		if err != nil {
			return n, err
		}
		left := time.Until(at)
		if left <= 0 {
			continue
		}
		added, err := to.SetNX(ctx, prefix+key, data, left).Result()
		if err != nil {
			return n, err
		}
		if added {
			n++
		}
	}
	return n, rows.Err()
}
