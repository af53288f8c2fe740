package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http/httptest"
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

	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/test/backendtest"
)

// Wrong configurations are errors at the start, which name the field and the
// remedy.
func TestConfig(t *testing.T) {
	server, secure := testserver.Redis.Get(t), testserver.RedisTLS.Get(t)
	ctx := t.Context()
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	s := setup{Addrs: server.Addrs}.fresh()
	user := "user-" + s.Prefix
	require.NoError(t, client.Do(ctx, "acl", "setuser", user, "on", ">secret", "~*", "+@all", "-@scripting").Err())
	t.Cleanup(func() { client.Do(context.WithoutCancel(ctx), "acl", "deluser", user) })

	reader := "reader-" + s.Prefix
	require.NoError(t, client.Do(ctx, "acl", "setuser", reader, "on", ">secret", "~*", "+get", "+pttl", "+eval", "+evalsha").Err())
	t.Cleanup(func() { client.Do(context.WithoutCancel(ctx), "acl", "deluser", reader) })
	page := httptest.NewServer(nil)
	t.Cleanup(page.Close)
	node := redis.NewClient(&redis.Options{Addr: testserver.RedisCluster.Get(t).Addrs[0]})
	t.Cleanup(func() { assert.NoError(t, node.Close()) })

	options := func(change func(o *Options)) Config {
		o := s.options()
		change(o)
		return Config{Options: o}
	}
	backendtest.WrongConfigs(t, "redis", open, map[string]backendtest.Wrong[Config]{
		"nothing":           {Config: Config{}, Want: []string{"Config.Options is nil", "address of the server", "Config.Client"}},
		"nil client":        {Config: Config{Client: nil, KeyPrefix: "x"}, Want: []string{"Config.Options is nil"}},
		"nil Client":        {Config: Config{UniversalClient: (*redis.Client)(nil)}, Want: []string{"Config.UniversalClient is a nil *redis.Client", "open client"}},
		"nil ClusterClient": {Config: Config{UniversalClient: (*redis.ClusterClient)(nil)}, Want: []string{"Config.UniversalClient is a nil *redis.ClusterClient"}},
		"URL":               {Config: Config{Options: &Options{Addr: "redis://user:secret@" + server.Addr}}, Want: []string{"Config.Options.Addr is a URL", "ParseURL", "host:port"}},
		"two":               {Config: Config{Client: client, Options: s.options()}, Want: []string{"more than one", "set only"}},
		"other two":         {Config: Config{Client: client, UniversalClient: client}, Want: []string{"more than one"}},
		"replicas": {Config: Config{UniversalClient: redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{server.Addr}, RouteRandomly: true})},
			Want: []string{"Config.UniversalClient reads from replicas", "without ReadOnly"}},
		"password": {Config: options(func(o *Options) { o.Username, o.Password = "nobody", "x" }), Want: []string{"WRONGPASS", "check Username, Password", "Config.Options"}},
		"scripts":  {Config: options(func(o *Options) { o.Username, o.Password = user, "secret" }), Want: []string{"evalsha", "scripts must be allowed"}},
		"rights":   {Config: options(func(o *Options) { o.Username, o.Password = reader, "secret" }), Want: []string{"NOPERM", "'set'", "docs/backends/redis.md"}},
		"address":  {Config: options(func(o *Options) { o.Addr = "nonsense" }), Want: []string{"missing port", "Addr in Config.Options"}},
		"HTTP":     {Config: options(func(o *Options) { o.Addr = page.Listener.Addr().String() }), Want: []string{"check Addr"}},
		"TLS":      {Config: options(func(o *Options) { o.TLSConfig = &tls.Config{InsecureSkipVerify: true} }), Want: []string{"TLS: the server does not speak it", "TLSConfig out of Config.Options"}},
		"plain":    {Config: options(func(o *Options) { o.Addr = secure.Addr }), Want: []string{"TLS: the server wants it", "set TLSConfig in Config.Options"}},
		"node":     {Config: Config{Client: node}, Want: []string{"MOVED", "one node of a Cluster", "Config.UniversalClient"}},
		"DB":       {Config: options(func(o *Options) { o.DB = 99999 }), Want: []string{"DB index is out of range", "DB in Config.Options"}},
		"no TLS":   {Config: options(func(o *Options) { o.Addr, o.TLSConfig = secure.Addr, &tls.Config{} }), Want: []string{"certificate", "TLSConfig in Config.Options"}},
	})
}

// A right that is withdrawn while the server runs is an error that says what to do.
func TestRightWithdrawn(t *testing.T) {
	s := ownServer(t)
	ctx, admin := t.Context(), s.admin(t)
	user := "user-" + s.Prefix
	t.Cleanup(func() { admin.Do(context.WithoutCancel(ctx), "acl", "deluser", user) })
	require.NoError(t, admin.Do(ctx, "acl", "setuser", user, "on", ">secret", "~*", "+@all").Err())
	o := s.options()
	o.Username, o.Password = user, "secret"
	b, _, err := open(ctx, Config{Options: o, KeyPrefix: s.Prefix})
	require.NoError(t, err)
	defer func() { assert.NoError(t, b.Close()) }()
	require.NoError(t, admin.Do(ctx, "acl", "setuser", user, "-set").Err())
	err = b.Create(ctx, "aaa", record("1"))
	require.ErrorContains(t, err, "NOPERM")
	require.ErrorContains(t, err, "allow the user in Config.Options the commands in docs/backends/redis.md")
}

// The permissions in docs/backends/redis.md are enough, and needed.
func TestACL(t *testing.T) {
	guide, err := os.ReadFile("../docs/backends/redis.md")
	require.NoError(t, err)
	m := regexp.MustCompile(`(?m)^    ACL SETUSER app on >secret ~session:\* (.*)$`).FindSubmatch(guide)
	require.NotNil(t, m, "docs/backends/redis.md has no ACL SETUSER line")
	toCount := regexp.MustCompile("for `Manager.Count` also `(.*?)`").FindSubmatch(guide)
	require.NotNil(t, toCount, "docs/backends/redis.md has no line on Manager.Count")
	rights := strings.Fields(string(m[1]))

	s := ownServer(t)
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
		return errors.Join(create, load, b.Replace(ctx, id, record("1"), record("2")),
			b.Touch(ctx, id, record("2"), later), b.Move(ctx, id, id+"new", record("2"), record("3")), b.Delete(ctx, id+"new"))
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
	backendtest.AssertOutage(t, err, "Load")

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
	admin, cfg := s.admin(t), s.config(nil)
	backendtest.NoConfig(t, Initer(), "redis.Config")
	cfg.Lifetime = time.Minute
	backendtest.Initer(t, Initer(), cfg, func(id string) time.Time {
		ttl, err := admin.PTTL(t.Context(), s.Prefix+id).Result()
		require.NoError(t, err)
		return time.Now().Add(ttl)
	})
}
