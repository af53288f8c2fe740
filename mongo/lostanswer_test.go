package mongo

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/testproxy"
)

// A write that was done, and whose answer was lost, is an error, and is not sent
// again to a server that can't tell the second request from another write. Sent
// again, it would not find what it expects any more, and say so; the library would
// then do an Update on top of its own result.
func TestLostAnswer(t *testing.T) {
	s := start(t)
	for name, open := range map[string]func(t *testing.T, o *Options) Config{
		"Options": func(_ *testing.T, o *Options) Config { return Config{Options: o} },
		"Client": func(t *testing.T, o *Options) Config {
			c, err := mongo.Connect(t.Context(), o)
			require.NoError(t, err)
			t.Cleanup(func() { _ = c.Disconnect(context.Background()) })
			return Config{Client: c}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := testproxy.New(t)
			cfg := open(t, options.Client().ApplyURI(s.URI).SetDialer(p))
			cfg.Database, cfg.Collection = s.Database, s.fresh().Collection
			b := newBackend(t, cfg)
			for loss, timeout := range map[string]time.Duration{"connection cut": 5 * time.Second, "no answer": 300 * time.Millisecond} {
				t.Run(loss, func(t *testing.T) {
					id := "id" + strconv.FormatInt(names.Add(1), 10)
					for _, call := range []struct {
						command string
						do      func(ctx context.Context) error
						stored  func() (id, data string)
					}{
						{"insert", func(ctx context.Context) error { return b.Create(ctx, id, record("0")) },
							func() (string, string) { return id, "0" }},
						{"update", func(ctx context.Context) error { return b.Replace(ctx, id, record("0"), record("1")) },
							func() (string, string) { return id, "1" }},
						{"update", func(ctx context.Context) error { return b.Move(ctx, id, id+"new", record("1"), record("2")) },
							func() (string, string) { return id + "new", "2" }},
					} {
						ctx, cancel := context.WithTimeout(t.Context(), timeout)
						p.Lose("\x02"+call.command+"\x00", 1, loss == "no answer")
						err := call.do(ctx)
						cancel()
						require.Error(t, err)
						for _, again := range []error{session.ErrExists, session.ErrConflict, session.ErrNotFound} {
							require.NotErrorIs(t, err, again, "sent again")
						}
						assert.Equal(t, 1, p.Requests(), call.command)
						p.Lose("", 0, false)
						where, what := call.stored()
						assert.Equal(t, what, loadData(t, b, where), "the test means to lose the answer, not the request")
					}
				})
			}
		})
	}
}
