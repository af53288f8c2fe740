package redis

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/share"
)

// onceCmd is a command that is not retried when its answer is lost. By default go-redis
// retries every command. A compare-and-swap that had been done would then find its own
// result, report a conflict, and be done twice.
type onceCmd struct{ *redis.Cmd }

// NoRetry is called by all clients of go-redis. Commands that a server redirects (MOVED,
// ASK) were not done, and still follow.
func (onceCmd) NoRetry() bool { return true }

// once makes a call that goes together with those of other requests, if it can.
func (b *backend) once(ctx context.Context, args ...any) *redis.Cmd {
	cmd := onceCmd{redis.NewCmd(ctx, args...)}
	if !b.SharesLoads() || !share.IsPatient(ctx) {
		b.one(ctx, cmd)
	} else if _, err := b.writes.Do(ctx, cmd); err != nil {
		cmd = onceCmd{redis.NewCmd(ctx)} // The other one may still be under way.
		cmd.SetErr(err)
	}
	return cmd.Cmd
}

func (b *backend) one(ctx context.Context, cmd onceCmd) struct{} {
	_ = b.client.Process(ctx, cmd) // The command has its error.
	return struct{}{}
}

// pipeline sends several commands in one round trip. Each has its own outcome, also if
// the connection breaks in the middle: then those without an answer have an error.
func (b *backend) pipeline(ctx context.Context, cmds []onceCmd) []struct{} {
	pipe := b.client.Pipeline()
	for _, cmd := range cmds {
		_ = pipe.Process(ctx, cmd)
	}
	_, err := pipe.Exec(ctx)
	for _, cmd := range cmds {
		if err != nil && cmd.Err() == nil && cmd.Val() == nil {
			cmd.SetErr(err) // Up to 9.19, if a pipeline finds no connection.
		}
	}
	return make([]struct{}, len(cmds))
}

// script changes KEYS[1], if it holds what it should, ARGV[1], and returns 1 then.
type script struct {
	text, sha string
	again     bool // it may be retried, since it does not change what it compares
}

var (
	swap   = newScript("redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])")
	move   = newScript("if redis.call('PTTL', KEYS[2]) ~= -2 then return 2 end redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) redis.call('DEL', KEYS[1])")
	remove = newScript("redis.call('DEL', KEYS[1])")
	touch  = newScript("redis.call('PEXPIRE', KEYS[1], ARGV[2])").repeatable()
)

func (s script) repeatable() script {
	s.again = true
	return s
}

func newScript(change string) script {
	text := "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end " + change + " return 1"
	return script{text: text, sha: redis.NewScript(text).Hash()}
}

// run runs a script by its hash, or sends its text if the server does not have it, as
// after a restart. It returns driver.ErrConflict or ErrExists if nothing was changed.
func (b *backend) run(ctx context.Context, s script, ids []string, values ...any) error {
	args := []any{"evalsha", s.sha, len(ids)}
	for _, id := range ids {
		args = append(args, b.prefix+id)
	}
	args = append(args, values...)
	do := b.once
	if s.again {
		do = b.client.Do
	}
	n, err := do(ctx, args...).Int()
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		args[0], args[1] = "eval", s.text
		n, err = do(ctx, args...).Int()
	}
	switch {
	case isWrongType(err), err == nil && n == 0:
		return driver.ErrConflict
	case err == nil && n == 2:
		return driver.ErrExists
	}
	return err
}

// isWrongType reports whether a key holds something other than a string. Within a
// script, old servers say so in a longer message.
func isWrongType(err error) bool {
	return err != nil && strings.Contains(err.Error(), "WRONGTYPE")
}
