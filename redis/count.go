package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/flamego/session/driver"
)

var _ driver.Counter = (*backend)(nil)

const (
	// countKey is where the number of sessions is kept, after the prefix. No ID has
	// a colon.
	countKey = "flamego::count"
	// countClaim begins what stands there while a server is counting. What follows
	// is different for each time.
	countClaim = "counting "
	// claimTTL is after how long a counting server without a sign of life counts as dead.
	claimTTL = 5 * time.Second
	// countLives is how long a number is valid at least. countShare limits counting to a
	// fiftieth of a server's time, however many keys there are.
	countLives = 10 * time.Second
	countShare = 50
	// scanPage is how many keys the server scans without serving anybody else.
	scanPage = 1000
)

// Count implements driver.Counter. Redis has no index of expiries, and every request
// would have to write to one. So one server at a time reads all keys, and leaves the
// number in Redis for the others. One key holds either the number or the claim to count,
// so that two servers cannot miss each other.
//
// Redis' own clock decides what has expired.
func (b *backend) Count(ctx context.Context, _ time.Time) (int, error) {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		// 1. Somebody may have counted a moment ago.
		text, err := b.client.Get(ctx, b.prefix+countKey).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return 0, b.fail("count", "", err)
		}
		if n, err := strconv.Atoi(text); err == nil {
			return n, nil
		}
		// 2. If nobody is counting, count.
		if text == "" {
			n, claimed, err := b.claimCount(ctx)
			if claimed || err != nil {
				return n, b.fail("count", "", err)
			}
		}
		// 3. Wait for the server that is counting. If it dies, its claim expires.
		select {
		case <-ctx.Done():
			return 0, b.fail("count", "", ctx.Err())
		case <-time.After(pause):
		}
	}
}

// claimCount counts, unless another server was faster to claim it.
func (b *backend) claimCount(ctx context.Context) (n int, claimed bool, err error) {
	claim := countClaim + rand.Text()
	err = b.once(ctx, "set", b.prefix+countKey, claim, "px", claimTTL.Milliseconds(), "nx").Err()
	if errors.Is(err, redis.Nil) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	begin := time.Now()
	n, err = b.scan(ctx)
	if err == nil {
		lives := max(b.countLives, countShare*time.Since(begin))
		err = b.client.Set(ctx, b.prefix+countKey, n, lives).Err()
	}
	if err != nil {
		// The others need not wait for the claim to expire.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
		defer cancel()
		_ = b.run(ctx, remove, []string{countKey}, claim)
	}
	return n, true, err
}

// scan counts the keys, and renews the claim from time to time.
func (b *backend) scan(ctx context.Context) (n int, err error) {
	claimed := time.Now()
	for id, err := range b.IDs(ctx) {
		if err != nil {
			return 0, err
		}
		if !driver.OwnID(id) {
			n++
		}
		if n%scanPage == 0 && time.Since(claimed) > claimTTL/5 {
			claimed = time.Now()
			if err := b.client.PExpire(ctx, b.prefix+countKey, claimTTL).Err(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// IDs implements driver.Lister. It reads the keys of every server that has some, and finds no
// expired ones. What is no ID is another user's of the prefix, or the number of sessions.
func (b *backend) IDs(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		nodes, err := b.nodes(ctx)
		if err != nil {
			yield("", b.fail("list", "", err))
			return
		}
		pattern := globs.Replace(b.prefix) + "*"
		for _, node := range nodes {
			for cursor, more := uint64(0), true; more; more = cursor != 0 {
				var keys []string
				if keys, cursor, err = node.Scan(ctx, cursor, pattern, scanPage).Result(); err != nil {
					yield("", b.fail("list", "", err))
					return
				}
				for _, key := range keys {
					if id := strings.TrimPrefix(key, b.prefix); driver.ValidID(id) && !yield(id, nil) {
						return
					}
				}
			}
		}
	}
}

// nodes are the servers that have keys.
func (b *backend) nodes(ctx context.Context) (nodes []redis.Cmdable, err error) {
	var mu sync.Mutex
	add := func(_ context.Context, c *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		nodes = append(nodes, c)
		return nil
	}
	switch c := b.client.(type) {
	case cluster: // It has shards as well, with the replicas in them.
		err = c.ForEachMaster(ctx, add)
	case ring:
		err = c.ForEachShard(ctx, add)
	default:
		nodes = append(nodes, c)
	}
	return nodes, err
}

// Clients that spread the keys over servers, possibly embedded in a type of the user's.
type (
	cluster interface {
		ForEachMaster(context.Context, func(context.Context, *redis.Client) error) error
	}
	ring interface {
		ForEachShard(context.Context, func(context.Context, *redis.Client) error) error
	}
)

// globs escapes the special characters of a pattern.
var globs = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`)
