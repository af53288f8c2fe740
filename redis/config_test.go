package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/testserver"
)

// Wrong configurations are errors at the start, which name the field and the
// remedy.
func TestConfig(t *testing.T) {
	server, secure := testserver.Redis(t), func() *testserver.Server { s, _ := testserver.RedisTLS(t); return s }()
	ctx := t.Context()
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	s := setup{Addrs: server.Addrs}.fresh()
	user := "user-" + s.Prefix
	require.NoError(t, client.Do(ctx, "acl", "setuser", user, "on", ">secret", "~*", "+@all", "-@scripting").Err())
	t.Cleanup(func() { client.Do(context.WithoutCancel(ctx), "acl", "deluser", user) })

	options := func(change func(o *Options)) Config {
		o := s.options()
		change(o)
		return Config{Options: o}
	}
	for name, c := range map[string]struct {
		cfg  Config
		want []string
	}{
		"nothing":           {Config{}, []string{"Config.Options is nil", "address of the server", "Config.Client"}},
		"nil client":        {Config{Client: nil, KeyPrefix: "x"}, []string{"Config.Options is nil"}},
		"nil Client":        {Config{UniversalClient: (*redis.Client)(nil)}, []string{"Config.UniversalClient is a nil *redis.Client", "open client"}},
		"nil ClusterClient": {Config{UniversalClient: (*redis.ClusterClient)(nil)}, []string{"Config.UniversalClient is a nil *redis.ClusterClient"}},
		"two":               {Config{Client: client, Options: s.options()}, []string{"more than one", "set only"}},
		"other two":         {Config{Client: client, UniversalClient: client}, []string{"more than one"}},
		"replicas": {Config{UniversalClient: redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{server.Addr}, RouteRandomly: true})},
			[]string{"Config.UniversalClient reads from replicas", "without ReadOnly"}},
		"password": {options(func(o *Options) { o.Username, o.Password = "nobody", "x" }), []string{"WRONGPASS", "look at Username, Password", "Config.Options"}},
		"scripts":  {options(func(o *Options) { o.Username, o.Password = user, "secret" }), []string{"evalsha", "scripts must be allowed"}},
		"DB":       {options(func(o *Options) { o.DB = 99999 }), []string{"DB index is out of range", "DB in Config.Options"}},
		"no TLS":   {options(func(o *Options) { o.Addr, o.TLSConfig = secure.Addr, &tls.Config{} }), []string{"certificate", "TLSConfig in Config.Options"}},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			b, _, err := open(ctx, c.cfg)
			require.Error(t, err)
			assert.Nil(t, b)
			assert.Less(t, time.Since(start), 2*time.Second)
			for _, part := range append(c.want, "redis: ") {
				assert.ErrorContains(t, err, part)
			}
			store, err := Initer()(ctx, c.cfg)
			require.Error(t, err)
			assert.Nil(t, store)
		})
	}
}

// The rights that docs/backends/redis.md asks for are enough, and needed.
func TestACL(t *testing.T) {
	guide, err := os.ReadFile("../docs/backends/redis.md")
	require.NoError(t, err)
	m := regexp.MustCompile(`(?m)^    ACL SETUSER app on >secret ~session:\* (.*)$`).FindSubmatch(guide)
	require.NotNil(t, m, "docs/backends/redis.md has no ACL SETUSER line")
	toCount := regexp.MustCompile("(?m)^for `Manager.Count` also `(.*?)`").FindSubmatch(guide)
	require.NotNil(t, toCount, "docs/backends/redis.md has no line on Manager.Count")
	rights := strings.Fields(string(m[1]))

	s := kinds[0].start(t).fresh()
	ctx, admin := t.Context(), s.admin(t)
	user := "user-" + s.Prefix
	t.Cleanup(func() { admin.Do(context.WithoutCancel(ctx), "acl", "deluser", user) })
	try := func(t *testing.T, rights []string) error {
		args := []any{"acl", "setuser", user, "reset", "on", ">secret", "~" + s.Prefix + "*"}
		for _, right := range rights {
			args = append(args, right)
		}
		require.NoError(t, admin.Do(ctx, args...).Err())
		o := s.options()
		o.Username, o.Password, o.DB = user, "secret", 1
		b, _, err := open(ctx, Config{Options: o, KeyPrefix: s.Prefix})
		if err != nil {
			return err
		}
		defer func() { assert.NoError(t, b.Close()) }()
		id := strconv.FormatInt(prefixes.Add(1), 10)
		create := b.Create(ctx, id, record("1"))
		_, load := b.Load(ctx, id)
		if slices.Contains(rights, string(toCount[1])) {
			_, err := b.Count(ctx, time.Now())
			require.NoError(t, err)
		}
		return errors.Join(create, load, b.Replace(ctx, id, []byte("1"), record("2")),
			b.Touch(ctx, id, later), b.Move(ctx, id, id+"new", []byte("2"), record("3")), b.Delete(ctx, id+"new"))
	}
	require.NoError(t, try(t, rights))
	require.NoError(t, try(t, append(slices.Clone(rights), string(toCount[1]))))
	for i, right := range rights {
		t.Run(right, func(t *testing.T) {
			require.NoError(t, admin.ScriptFlush(ctx).Err()) // Or EVAL would not be needed.
			assert.Error(t, try(t, slices.Delete(slices.Clone(rights), i, i+1)))
		})
	}
}

func TestOptionsAreCopied(t *testing.T) {
	s := kinds[0].start(t).fresh()
	o := s.options()
	b := newBackend(t, Config{Options: o, KeyPrefix: s.Prefix})
	assert.False(t, o.ContextTimeoutEnabled)
	assert.Zero(t, o.DialerRetries)
	own := b.client.(*redis.Client).Options()
	assert.True(t, own.ContextTimeoutEnabled)
	assert.Equal(t, 1, own.DialerRetries)
	assert.Equal(t, "session:", newBackend(t, Config{Options: o}).prefix)

	o.DialerRetries = 3
	assert.Equal(t, 3, newBackend(t, Config{Options: o}).client.(*redis.Client).Options().DialerRetries)
}

func TestClose(t *testing.T) {
	s := kinds[0].start(t).fresh()
	ctx := t.Context()
	b, _, err := open(ctx, s.config(nil))
	require.NoError(t, err)
	require.NoError(t, b.Close())
	_, err = b.Load(ctx, "aaa")
	assertOutage(t, err, "Load")

	client := redis.NewClient(s.options())
	for name, cfg := range map[string]Config{"Client": {Client: client}, "UniversalClient": {UniversalClient: client}} {
		b, _, err := open(ctx, cfg)
		require.NoError(t, err)
		require.NoError(t, b.Close())
		require.NoError(t, client.Ping(ctx).Err(), "the user's %s was closed", name)
	}
	require.NoError(t, client.Close())
}

func TestIniter(t *testing.T) {
	s := kinds[0].start(t).fresh()
	ctx, admin := t.Context(), s.admin(t)
	idWriter := session.IDWriter(func(http.ResponseWriter, *http.Request, string) {})
	_, err := Initer()(ctx, "localhost:6379", idWriter)
	require.ErrorContains(t, err, "redis.Config")

	cfg := s.config(nil)
	cfg.Lifetime = time.Minute
	store, err := Initer()(ctx, cfg, idWriter)
	require.NoError(t, err)
	sess, err := store.Read(ctx, "abcdef0123456789")
	require.NoError(t, err)
	sess.Set("name", "flamego")
	require.NoError(t, store.Save(ctx, sess))
	sess, err = store.Read(ctx, "abcdef0123456789")
	require.NoError(t, err)
	assert.Equal(t, "flamego", sess.Get("name"))

	ttl, err := admin.PTTL(ctx, s.Prefix+"abcdef0123456789").Result()
	require.NoError(t, err)
	assert.InDelta(t, 61.5, ttl.Seconds(), 1.6, "the lifetime of the Config was not used")
	require.Implements(t, (*io.Closer)(nil), store)
	require.NoError(t, store.(io.Closer).Close())
}
