package session_test

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

func TestLifetimeErrors(t *testing.T) {
	const day = 24 * time.Hour
	s := session.NewBaseSession("x", nil, nil)
	for _, test := range []struct {
		err  error
		want string
	}{
		{session.SetLifetime(s, -time.Hour), "session: set lifetime: a duration of -1h0m0s: give 0 to take it back; to end the session use session.Destroy"},
		{session.SetLifetime(s, time.Millisecond), "session: set lifetime: a duration of 1ms: give a second at least"},
		{session.SetLifetime(s, 101*365*day), "session: set lifetime: a duration of 884760h0m0s is too long: give 100 years at most"},
		{session.Remember(s, 400*day+1), "session: remember: a duration of 9600h0m0.000000001s is too long: give 400 days at most"},
		{session.Remember(s, -1), "session: remember: a duration of -1ns: give 0 to take it back; to end the session use session.Destroy"},
	} {
		assert.EqualError(t, test.err, test.want)
	}
	assert.NoError(t, session.Remember(s, 400*day))
	assert.NoError(t, session.SetLifetime(s, time.Second))

	for d, want := range map[time.Duration]string{
		-1:              "session: AbsoluteLifetime is negative: leave it out for none",
		time.Second - 1: "session: AbsoluteLifetime is 999.999999ms: set it to a second at least, or leave it out for none",
		101 * 365 * day: "session: AbsoluteLifetime is 884760h0m0s: set it to 100 years at most, or leave it out for none",
	} {
		_, err := session.NewManager(session.Options{AbsoluteLifetime: d})
		assert.EqualError(t, err, want)
	}
}

// TestLifetimeShortened touches a session with its old lifetime after another request
// has shortened it: the next access corrects that.
func TestLifetimeShortened(t *testing.T) {
	now := time.Unix(1e9, 0)
	a := newApp(t, func(o *session.Options) { hook.SetClock(o, func() time.Time { return now }) })
	a.Get("/set", func(s session.Session) { s.Set("k", 1) })
	a.Get("/read", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	a.Get("/short", func(s session.Session) { assert.NoError(t, session.SetLifetime(s, time.Minute)) })
	_, id := a.get("/set", "")
	a.get("/short", id)
	a.b.expire(id, now.Add(time.Hour))
	a.get("/read", id)
	now = now.Add(2 * time.Minute)
	rec, _ := a.get("/read", id)
	assert.Equal(t, "<nil>", rec.Body.String())
}

// TestRememberBeforeTheFirstValue calls Remember before there is a session: it takes
// effect.
func TestRememberBeforeTheFirstValue(t *testing.T) {
	a := newApp(t)
	a.Get("/", func(s session.Session) error {
		if err := session.Remember(s, time.Hour); err != nil {
			return err
		}
		if err := session.Commit(t.Context(), s); err != nil {
			return err
		}
		s.Set("k", 1)
		return nil
	})
	rec, _ := a.get("/", "")
	assert.Contains(t, rec.Header().Get("Set-Cookie"), "Max-Age=3600")
}

// TestLifetimeForeign has a Store that decides by itself when a session has been
// idle for too long, but not when it is too old.
func TestLifetimeForeign(t *testing.T) {
	now := time.Unix(1e9, 0)
	a := &app{Flame: silent(), m: manager(t, "flamego_session", func(o *session.Options) {
		o.AbsoluteLifetime = time.Hour
		o.Initer = func(context.Context, ...any) (session.Store, error) {
			return &plainStore{rows: make(map[string][]byte)}, nil
		}
		hook.SetClock(o, func() time.Time { return now })
	})}
	a.Use(a.m.Sessioner())
	a.Get("/set", func(s session.Session) {
		s.Set("k", 1)
		assert.ErrorContains(t, session.SetLifetime(s, time.Hour), "use a Store made by session.NewStore")
	})
	a.Get("/flush", func(s session.Session) { s.Flush(); s.Set("k", 2) })
	a.Get("/read", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	_, id := a.get("/set", "")
	now = now.Add(30 * time.Minute)
	a.get("/flush", id)
	now = now.Add(30*time.Minute - time.Millisecond)
	rec, _ := a.get("/read", id)
	assert.Equal(t, "2", rec.Body.String())
	now = now.Add(time.Millisecond)
	rec, _ = a.get("/read", id)
	assert.Equal(t, "<nil>", rec.Body.String())
}

// TestLifetimeForever has lifetimes that overflow a Duration, or nanoseconds since 1970
// (the year 2262) once the current time is added.
func TestLifetimeForever(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, forever := range []time.Duration{math.MaxInt64, 285 * year, 240 * year, 99 * year} {
		for name, change := range map[string]func(*session.Options){
			"memory":  func(o *session.Options) { o.Initer, o.Config = nil, session.MemoryConfig{Lifetime: forever} },
			"backend": func(o *session.Options) { o.Initer = initer(newMapBackend(), session.StoreConfig{Lifetime: forever}) },
			"file": func(o *session.Options) {
				o.Initer, o.Config = session.FileIniter(), session.FileConfig{Lifetime: forever, RootDir: t.TempDir()}
			},
		} {
			now := time.Now()
			a := newApp(t, change, func(o *session.Options) { hook.SetClock(o, func() time.Time { return now }) })
			a.Get("/set", func(s session.Session) { s.Set("k", 1) })
			a.Get("/short", func(s session.Session) error { s.Set("k", 1); return session.SetLifetime(s, time.Minute) })
			a.Get("/read", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
			_, long := a.get("/set", "")
			_, short := a.get("/short", "")
			n, err := a.m.Count(t.Context())
			assert.NoError(t, err)
			assert.Equal(t, 2, n, "%s %v", name, forever)

			now = now.Add(30 * 24 * time.Hour)
			require.NoError(t, a.m.Store().GC(t.Context()))
			rec, _ := a.get("/read", long)
			assert.Equal(t, "1", rec.Body.String(), "%s %v", name, forever)
			rec, _ = a.get("/read", short)
			assert.Equal(t, "<nil>", rec.Body.String(), "%s %v", name, forever)
		}
	}
}

// TestLifetimeLowered returns to the store's lifetime: by undoing a longer one while
// another request touches the session, and by a restart with another Config. The next
// access corrects that.
func TestLifetimeLowered(t *testing.T) {
	now := time.Unix(1e9, 0)
	b := newMapBackend()
	start := func(lifetime time.Duration) *app {
		a := newApp(t, func(o *session.Options) {
			o.Initer = initer(b, session.StoreConfig{Lifetime: lifetime})
			hook.SetClock(o, func() time.Time { return now })
		})
		a.Get("/set", func(s session.Session) error { s.Set("k", 1); return session.Remember(s, 24*time.Hour) })
		a.Get("/back", func(s session.Session) error { s.Set("k", 1); return session.Remember(s, 0) })
		a.Get("/read", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
		return a
	}
	a := start(time.Hour)
	_, id := a.get("/set", "")
	a.get("/back", id)
	b.expire(id, now.Add(24*time.Hour))
	a.get("/read", id)
	now = now.Add(2 * time.Hour)
	rec, _ := a.get("/read", id)
	assert.Equal(t, "<nil>", rec.Body.String(), "taken back")

	_, id = start(24*time.Hour).get("/back", "")
	a.get("/read", id)
	now = now.Add(2 * time.Hour)
	rec, _ = a.get("/read", id)
	assert.Equal(t, "<nil>", rec.Body.String(), "another Config")
}

// TestAbsoluteLifetimeInSeconds has a table of whole seconds: a session that already
// has the latest possible expiry is not touched on each access.
func TestAbsoluteLifetimeInSeconds(t *testing.T) {
	now := time.Unix(1e9, 5e8)
	b := &secondsBackend{mapBackend: newMapBackend()}
	a := newApp(t, func(o *session.Options) {
		o.Initer = initer(b, session.StoreConfig{})
		o.AbsoluteLifetime = 90 * time.Minute
		hook.SetClock(o, func() time.Time { return now })
	})
	a.Get("/set", func(s session.Session) { s.Set("k", 1) })
	a.Get("/read", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	b.touches.Store(0) // Those of the start.
	_, id := a.get("/set", "")
	now = now.Add(50 * time.Minute)
	for range 20 {
		rec, _ := a.get("/read", id)
		assert.Equal(t, "1", rec.Body.String())
	}
	assert.EqualValues(t, 1, b.touches.Load())
	now = now.Add(40 * time.Minute)
	rec, _ := a.get("/read", id)
	assert.Equal(t, "<nil>", rec.Body.String())
}

// secondsBackend keeps whole seconds, and counts.
type secondsBackend struct {
	*mapBackend
	touches atomic.Int64
}

func (b *secondsBackend) Create(ctx context.Context, id string, r session.Record) error {
	r.Expiry = r.Expiry.Truncate(time.Second)
	return b.mapBackend.Create(ctx, id, r)
}

func (b *secondsBackend) Touch(ctx context.Context, id string, old session.Record, expiry time.Time) error {
	b.touches.Add(1)
	return b.mapBackend.Touch(ctx, id, old, expiry.Truncate(time.Second))
}
