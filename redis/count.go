package redis

import (
	"context"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/flamego/session/driver"
)

var (
	_ driver.Counter = (*backend)(nil)
	_ driver.Lister  = (*backend)(nil)
)

// scanPage is how many keys the server scans without serving anybody else.
const scanPage = 1000

// Count implements driver.Counter. Redis has no index of expiries, and every request
// would have to write to one, so Count reads all keys. Redis' own clock decides what has
// expired.
func (b *backend) Count(ctx context.Context, _ time.Time) (n int, err error) {
	for id, err := range b.IDs(ctx) {
		if err != nil {
			return 0, err
		}
		if !driver.OwnID(id) {
			n++
		}
	}
	return n, nil
}

// IDs implements driver.Lister. It reads the keys of every server that has some, and finds no
// expired ones. It finds each key that is there all the time, some twice if a server resizes
// its table meanwhile. What is no ID is another user's of the prefix.
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
