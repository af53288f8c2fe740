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

// scan reads the keys of every server that has some. It finds each key that is there all
// the time, some twice if the server resizes its table meanwhile, and no expired ones.
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

// Clients that spread the keys over servers, possibly embedded in a type of the user's.
type (
	cluster interface {
		ForEachMaster(context.Context, func(context.Context, *redis.Client) error) error
	}
	ring interface {
		ForEachShard(context.Context, func(context.Context, *redis.Client) error) error
	}
)

// scanNode reads the keys of one server, and renews the claim from time to time.
func (b *backend) scanNode(ctx context.Context, c redis.Cmdable, total, claimed *atomic.Int64) error {
	pattern := globs.Replace(b.prefix) + "*"
	for cursor := uint64(0); ; {
		keys, next, err := c.Scan(ctx, cursor, pattern, scanPage).Result()
		if err != nil {
			return err
		}
		for _, key := range keys {
			// Other keys are the library's own, or another user's of the prefix.
			if id := strings.TrimPrefix(key, b.prefix); driver.ValidID(id) && !driver.OwnID(id) {
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

// globs escapes the special characters of a pattern.
var globs = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`)
