package redis

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/testproxy"
	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/internal/webclient"
)

// answerLoss are the ways to lose an answer.
var answerLoss = []struct {
	name    string
	silent  bool
	timeout time.Duration
}{
	{"connection cut", false, 5 * time.Second},
	{"no answer", true, 400 * time.Millisecond},
}

// lose is Lose for commands of that name.
func lose(p *testproxy.Proxy, command string, n int, silent bool) {
	if command != "" {
		command = "\r\n" + command + "\r\n"
	}
	p.Lose(command, n, silent)
}

// proxied are clients of all kinds that go through the proxy, with their defaults
// as to retries.
var proxied = []struct {
	name  string
	start func(t testing.TB, p *testproxy.Proxy) Config
}{
	{"Options", func(t testing.TB, p *testproxy.Proxy) Config {
		return Config{Options: &Options{Addr: testserver.Redis.Get(t).Addr, Dialer: p.DialContext}}
	}},
	{"Client", func(t testing.TB, p *testproxy.Proxy) Config {
		// Without ContextTimeoutEnabled, so that its own timeout comes first.
		return Config{Client: redis.NewClient(&redis.Options{
			Addr: testserver.Redis.Get(t).Addr, Dialer: p.DialContext, ReadTimeout: 200 * time.Millisecond,
		})}
	}},
	{"Cluster", func(t testing.TB, p *testproxy.Proxy) Config {
		return Config{UniversalClient: redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: testserver.RedisCluster.Get(t).Addrs, Dialer: p.DialContext, ContextTimeoutEnabled: true,
		})}
	}},
	{"Sentinel", func(t testing.TB, p *testproxy.Proxy) Config {
		s := testserver.RedisSentinel.Get(t)
		return Config{UniversalClient: redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: s.Master, SentinelAddrs: s.Addrs, Dialer: p.DialContext, ContextTimeoutEnabled: true,
		})}
	}},
	{"Ring", func(t testing.TB, p *testproxy.Proxy) Config {
		return Config{UniversalClient: redis.NewRing(&redis.RingOptions{
			Addrs: map[string]string{"a": testserver.Redis.Get(t).Addr}, Dialer: p.DialContext, ContextTimeoutEnabled: true,
		})}
	}},
}

func closeClient(t testing.TB, cfg Config) {
	if cfg.Client != nil {
		t.Cleanup(func() { _ = cfg.Client.Close() })
	}
	if cfg.UniversalClient != nil {
		t.Cleanup(func() { _ = cfg.UniversalClient.Close() })
	}
}

// A write that was done, and whose answer was lost, is an error, and is not sent
// again. Sent again, it would not find what it expects any more, and say so; the
// library would then do an Update on top of its own result.
func TestLostAnswer(t *testing.T) {
	for _, client := range proxied {
		t.Run(client.name, func(t *testing.T) {
			p := testproxy.New(t)
			cfg := client.start(t, p)
			cfg.KeyPrefix = "{" + setup{}.fresh().Prefix + "}" // All on one node of a Cluster,
			closeClient(t, cfg)
			b := newBackend(t, cfg)
			require.NoError(t, b.Create(t.Context(), "aaa", record("1"))) // which knows the scripts.
			require.NoError(t, b.Move(t.Context(), "aaa", "bbb", record("1"), record("1")))
			for _, loss := range answerLoss {
				t.Run(loss.name, func(t *testing.T) {
					id := "id" + strconv.FormatInt(prefixes.Add(1), 10)
					ctx, cancel := context.WithTimeout(t.Context(), loss.timeout)
					lose(p, "set", 1, loss.silent)
					err := b.Create(ctx, id, record("0"))
					cancel()
					require.Error(t, err)
					require.NotErrorIs(t, err, session.ErrExists, "sent again")
					assert.Equal(t, 1, p.Requests(), "requests to create")
					lose(p, "", 0, false)
					assert.Equal(t, "0", loadData(t, b, id), "the test means to lose the answer, not the request")

					ctx, cancel = context.WithTimeout(t.Context(), loss.timeout)
					lose(p, "evalsha", 1, loss.silent)
					err = b.Replace(ctx, id, record("0"), record("1"))
					cancel()
					require.Error(t, err)
					require.NotErrorIs(t, err, session.ErrConflict, "sent again")
					assert.Equal(t, 1, p.Requests(), "requests to replace")
					lose(p, "", 0, false)
					assert.Equal(t, "1", loadData(t, b, id))

					// A move, or its second step: the library finds out that it was done.
					ctx, cancel = context.WithTimeout(t.Context(), loss.timeout)
					lose(p, "evalsha", 1, loss.silent)
					err = b.Move(ctx, id, id+"new", record("1"), record("2"))
					cancel()
					require.Error(t, err)
					require.NotErrorIs(t, err, session.ErrConflict, "sent again")
					assert.Equal(t, 1, p.Requests(), "requests to move")
					lose(p, "", 0, false)
					_, err = b.Load(t.Context(), id)
					require.ErrorIs(t, err, session.ErrNotFound)
					assert.Equal(t, "2", loadData(t, b, id+"new"))

					// What may be done twice is sent again.
					if loss.silent {
						return
					}
					require.NoError(t, b.Create(t.Context(), id+"x", record("x")))
					require.NoError(t, b.Touch(t.Context(), id+"x", record("x"), later)) // The server knows the script.
					for verb, call := range map[string]func() error{
						"pttl":    func() error { _, err := b.Load(t.Context(), id+"x"); return err },
						"evalsha": func() error { return b.Touch(t.Context(), id+"x", record("x"), later) },
						"del":     func() error { return b.Delete(t.Context(), id+"x") },
					} {
						if verb == "pttl" && client.name == "Ring" {
							continue // It does not repeat pipelines.
						}
						lose(p, verb, 1, false)
						require.NoError(t, call(), verb)
						assert.Equal(t, 2, p.Requests(), verb)
						if verb == "del" {
							require.NoError(t, b.Create(t.Context(), id+"x", record("x")))
						}
					}
				})
			}
			t.Run("Update", func(t *testing.T) { lostAnswerUpdate(t, p, cfg) })
		})
	}
}

// counter is a site that counts visits.
func counter(t testing.TB, cfg Config) (get func(path string) (status int, body string)) {
	t.Helper()
	m, err := session.NewManager(session.Options{
		Initer: Initer(), Config: cfg, ErrorFunc: func(error) {},
	})
	require.NoError(t, err)
	f := flamego.New()
	f.Use(m.Sessioner())
	f.Get("/visit", func(s session.Session) string {
		return fmt.Sprint(session.Update(s, "visits", func(n int) int { return n + 1 }))
	})
	f.Get("/visits", func(s session.Session) string {
		n, _ := session.Get[int](s, "visits")
		return strconv.Itoa(n)
	})
	srv := httptest.NewServer(f)
	t.Cleanup(func() { srv.Close(); assert.NoError(t, m.Close(context.Background())) })
	b := webclient.New(t, srv.URL)
	return func(path string) (int, string) {
		page := b.Get(path)
		return page.Status, page.Body
	}
}

// lostAnswerUpdate checks that one visit counts once, even if answers are lost.
func lostAnswerUpdate(t *testing.T, p *testproxy.Proxy, cfg Config) {
	get := counter(t, cfg)
	for range 2 { // The second one tells the server the script.
		status, body := get("/visit")
		require.Equal(t, http.StatusOK, status, body)
	}

	// One after the other: each is done once, also if its answer is lost.
	failed := 0
	for i := range 30 {
		if i%3 == 0 {
			lose(p, "evalsha", 1, false)
		}
		if status, _ := get("/visit"); status != http.StatusOK {
			assert.Equal(t, http.StatusInternalServerError, status)
			failed++
		}
	}
	assert.Equal(t, 10, failed)
	_, body := get("/visits")
	assert.Equal(t, "32", body, "a visit was counted twice, or not at all")

	// Many at a time: a lost answer may have been a conflict, so a visit that
	// failed counts or does not.
	var ok atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 20 {
				if i%5 == 0 {
					lose(p, "evalsha", 1, false)
				}
				if status, _ := get("/visit"); status == http.StatusOK {
					ok.Add(1)
				}
			}
		})
	}
	wg.Wait()
	_, body = get("/visits")
	n, err := strconv.ParseInt(body, 10, 64)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, n, 32+ok.Load(), "an acknowledged visit was lost")
	assert.LessOrEqual(t, n, int64(32+160), "visits were counted twice")
	assert.Less(t, ok.Load(), int64(160), "no answer was lost")
}
