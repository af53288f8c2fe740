package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
	"github.com/flamego/session/internal/wait"
)

// TestEveryUseVaries looks at the session in each way: the page depends on the cookie then.
func TestEveryUseVaries(t *testing.T) {
	a := newApp(t)
	for path, use := range map[string]func(s session.Session){
		"/get":     func(s session.Session) { s.Get("k") },
		"/encode":  func(s session.Session) { _, _ = s.Encode() },
		"/changed": func(s session.Session) { s.HasChanged() },
	} {
		a.Get(path, use)
		rec, _ := a.get(path, "")
		assert.Equal(t, "Cookie", rec.Header().Get("Vary"), path)
	}
}

// TestCommitOfDroppedChanges commits after the first byte, when another request had ended the
// session before it: the handler hears that its changes are lost.
func TestCommitOfDroppedChanges(t *testing.T) {
	a := newApp(t)
	a.Get("/set", func(s session.Session) { s.Set("k", 1) })
	a.Get("/out", func(s session.Session) { session.Destroy(s) })
	var first, again error
	a.Get("/stream", func(c flamego.Context, s session.Session) {
		s.Set("k", 2)
		_, _ = a.get("/out", s.ID())
		_, _ = fmt.Fprint(c.ResponseWriter(), "begun")
		first = session.Commit(context.Background(), s)
		again = session.Commit(context.Background(), s)
	})
	_, id := a.get("/set", "")
	rec, _ := a.get("/stream", id)
	assert.Equal(t, "begun", rec.Body.String())
	assert.ErrorIs(t, first, session.ErrEnded)
	assert.NoError(t, again, "it has heard")
	assert.Empty(t, a.errs.all())
}

// TestAbsoluteLifetimeToTheMillisecond ends a session exactly then, also where the storage
// keeps whole seconds, however it came to its last expiry.
func TestAbsoluteLifetimeToTheMillisecond(t *testing.T) {
	const limit = 10 * time.Second
	begin := time.Unix(1e9, 900e6)
	for _, seconds := range []bool{true, false} {
		for name, uses := range map[string][]time.Duration{
			"not used": nil, "read": {time.Second}, "read late": {limit - 200*time.Millisecond}, "read often": {limit / 2, limit - time.Second, limit - 500*time.Millisecond},
		} {
			now := begin
			a := newApp(t, func(o *session.Options) {
				o.AbsoluteLifetime = limit
				hook.SetClock(o, func() time.Time { return now })
				if seconds {
					o.Initer = initer(&secondsBackend{mapBackend: newMapBackend()}, session.StoreConfig{})
				}
			})
			a.Get("/set", func(s session.Session) { s.Set("k", 1) })
			a.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
			_, id := a.get("/set", "")
			for _, at := range uses {
				now = begin.Add(at)
				a.get("/get", id)
			}
			now = begin.Add(limit - time.Millisecond)
			rec, _ := a.get("/get", id)
			assert.Equal(t, "1", rec.Body.String(), "%s, a millisecond before the end; whole seconds %v", name, seconds)
			now = begin.Add(limit)
			rec, _ = a.get("/get", id)
			assert.Equal(t, "<nil>", rec.Body.String(), "%s, at the end; whole seconds %v", name, seconds)
		}
	}
}

// TestJSONFlashOfInt64 refuses a flash that would come back as another type, as Set does.
func TestJSONFlashOfInt64(t *testing.T) {
	a := newApp(t, func(o *session.Options) {
		o.Initer = initer(newMapBackend(), session.StoreConfig{Encoder: session.JSONEncoder, Decoder: session.JSONDecoder})
	})
	for path, leave := range map[string]func(s session.Session){
		"/set":   func(s session.Session) { s.Set("k", int64(1)) },
		"/flash": func(s session.Session) { s.SetFlash(int64(1)) },
		"/add":   func(s session.Session) { session.AddFlash(s, int64(1)) },
	} {
		a.errs.clear()
		a.Get(path, leave)
		rec, _ := a.get(path, "")
		assert.Equal(t, http.StatusInternalServerError, rec.Code, path)
		assert.ErrorContains(t, a.errs.last(), "int64", path)
	}
	a.Get("/int", func(s session.Session) { s.SetFlash(1) })
	a.Get("/show", func(f session.Flash) string { return fmt.Sprintf("%T", f) })
	_, id := a.get("/int", "")
	rec, _ := a.get("/show", id)
	assert.Equal(t, "int", rec.Body.String())
}

// TestManyChanges makes thousands of changes in one request, with and without a session:
// twice as many cost about twice as much memory. internal/txn tests that they are found
// without a search.
func TestManyChanges(t *testing.T) {
	a := newApp(t)
	n := 0
	a.Get("/flash", func(s session.Session) {
		for i := range n {
			session.AddFlash(s, i)
		}
	})
	a.Get("/after", func(s session.Session) {
		s.SetFlash("first")
		for i := range n {
			session.AddFlash(s, i)
		}
	})
	a.Get("/show", func(s session.Session) string { return fmt.Sprint(len(session.Flashes(s))) })
	a.Get("/set", func(s session.Session) { s.Set("k", 1) })
	cost := func(path, id string, count int) (uint64, string) {
		var before, after runtime.MemStats
		n = count
		runtime.ReadMemStats(&before)
		_, set := a.get(path, id)
		runtime.ReadMemStats(&after)
		if id == "" {
			id = set
		}
		rec, _ := a.get("/show", id)
		return after.TotalAlloc - before.TotalAlloc, rec.Body.String()
	}
	_, id := a.get("/set", "")
	for _, path := range []string{"/flash", "/after"} {
		for _, id := range []string{"", id} {
			few, _ := cost(path, id, 1000)
			many, shown := cost(path, id, 5000)
			assert.Equal(t, map[string]string{"/flash": "5000", "/after": "5001"}[path], shown)
			assert.Less(t, many, 10*few, "%s: 1000 cost %d bytes, 5000 cost %d", path, few, many)
		}
	}
}

// TestSweepFails has the sweep fail, hang, and panic: who watches the store hears of each.
func TestSweepFails(t *testing.T) {
	for name, sweep := range map[string]func(context.Context) error{
		"an error": func(context.Context) error { return errors.New("no") },
		"hangs":    func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"panics":   func(context.Context) error { panic("no") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen atomic.Int64
			a := newApp(t, func(o *session.Options) {
				o.GCInterval = time.Second
				o.Initer = initer(&failingSweep{Backend: newMapBackend(), sweep: sweep}, session.StoreConfig{})
				o.Observe = func(_ context.Context, e session.Event) {
					if e.Kind == session.StoreError && e.Op == "sweep" && e.Err != nil {
						seen.Add(1)
					}
				}
			})
			require.NoError(t, wait.Until(time.Minute, func() error {
				if seen.Load() == 0 || a.m.Stats().StoreErrors == 0 || len(a.errs.all()) == 0 {
					return errors.New("nobody has heard of it")
				}
				return nil
			}))
			assert.ErrorContains(t, a.errs.last(), "session: sweep: ")
		})
	}
}

type failingSweep struct {
	session.Backend
	sweep func(context.Context) error
}

func (b *failingSweep) DeleteExpired(ctx context.Context, _ time.Time, _ int) (int, error) {
	return 0, b.sweep(ctx)
}
