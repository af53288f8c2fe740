package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
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
	// claimTTL is when a server that counts and is not heard of is taken for dead.
	claimTTL = 5 * time.Second
	// countLives is how long a number is good, at least; and countShare keeps the
	// counting to a fiftieth of a server's time, however many keys there are.
	countLives = 10 * time.Second
	countShare = 50
	// scanPage is how many keys the server looks at without serving anybody else.
	scanPage = 1000
)

// Count implements driver.Counter. There is no index of the expiry, and one
// would make every request write to it; so all keys are read, by one server at a
// time, and the number is left in Redis for the others. One key is both the number
// and the claim to find it out, so that no two can miss each other.
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
		// 2. If nobody is at it, do it.
		if text == "" {
			n, claimed, err := b.claimCount(ctx)
			if claimed || err != nil {
				return n, b.fail("count", "", err)
			}
		}
		// 3. Wait for the one who is. If that server dies, its claim expires.
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
		_ = b.run(ctx, remove, countKey, claim)
	}
	return n, true, err
}

// scan reads the keys of every server that has some. A key that is there all the
// time is found, perhaps twice if the server changes the size of its table
// meanwhile; what has expired is not.
func (b *backend) scan(ctx context.Context) (int, error) {
	var total, claimed atomic.Int64
	claimed.Store(time.Now().UnixNano())
	node := func(ctx context.Context, c *redis.Client) error { return b.scanNode(ctx, c, &total, &claimed) }
	var err error
	switch c := b.client.(type) {
	case cluster: // It has shards as well, with the replicas in them.
		err = c.ForEachMaster(ctx, node)
	case ring:
		err = c.ForEachShard(ctx, node)
	default:
		err = b.scanNode(ctx, c, &total, &claimed)
	}
	return int(total.Load()), err
}

// Clients that spread the keys over servers, also as part of a type of the user's.
type (
	cluster interface {
		ForEachMaster(context.Context, func(context.Context, *redis.Client) error) error
	}
	ring interface {
		ForEachShard(context.Context, func(context.Context, *redis.Client) error) error
	}
)

// scanNode reads the keys of one server, and renews the claim now and then.
func (b *backend) scanNode(ctx context.Context, c redis.Cmdable, total, claimed *atomic.Int64) error {
	pattern := globs.Replace(b.prefix) + "*"
	for cursor := uint64(0); ; {
		keys, next, err := c.Scan(ctx, cursor, pattern, scanPage).Result()
		if err != nil {
			return err
		}
		for _, key := range keys {
			// Others are the library's own, or of somebody else who uses the prefix.
			if driver.ValidID(strings.TrimPrefix(key, b.prefix)) {
				total.Add(1)
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
		if last := claimed.Load(); time.Since(time.Unix(0, last)) > claimTTL/5 && claimed.CompareAndSwap(last, time.Now().UnixNano()) {
			if err := b.client.PExpire(ctx, b.prefix+countKey, claimTTL).Err(); err != nil {
				return err
			}
		}
	}
}

// globs takes their meaning from the characters of a pattern.
var globs = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`)
