package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

var errPlanned = errors.New("as planned")

// TestEdit covers what the conformance suite cannot see of Manager.Edit: its cost, and
// what goes wrong.
func TestEdit(t *testing.T) {
	a := newApp(t)
	a.Get("/set", func(s session.Session) { s.Set("k", 1) })
	a.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	_, id := a.get("/set", "")
	set := func(s session.Session) error { s.Set("k", 2); return nil }
	cost := func(fn func(session.Session) error) int64 {
		before := a.b.calls.Load()
		require.NoError(t, a.m.Edit(t.Context(), id, fn))
		return a.b.calls.Load() - before
	}
	assert.EqualValues(t, 1, cost(func(s session.Session) error { _ = s.Get("k"); return nil }))
	assert.EqualValues(t, 2, cost(set))

	want := func(want string) {
		t.Helper()
		rec, _ := a.get("/get", id)
		assert.Equal(t, want, rec.Body.String())
	}
	want("2")
	broken := func(err error) {
		t.Helper()
		assert.Error(t, err)
		assert.NotErrorIs(t, err, session.ErrNotFound)
		assert.NotErrorIs(t, err, session.ErrEnded)
		assert.NotContains(t, err.Error(), id)
	}
	a.b.failReads.Store(true)
	broken(a.m.Edit(t.Context(), id, set))
	a.b.failReads.Store(false)
	a.b.fail.Store(true)
	broken(a.m.Edit(t.Context(), id, func(s session.Session) error { s.Set("k", 3); return nil }))
	a.b.fail.Store(false)
	want("2")
	broken(a.m.Edit(t.Context(), id, func(s session.Session) error { s.Set("k", func() {}); return nil }))
	broken(a.m.Edit(t.Context(), id, func(s session.Session) error { s.Set("flamego::session::created", 0); return nil }))
	assert.PanicsWithError(t, errPlanned.Error(), func() {
		_ = a.m.Edit(t.Context(), id, func(s session.Session) error { s.Set("k", 4); panic(errPlanned) })
	})
	want("2")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, a.m.Edit(ended, id, set), context.Canceled)

	// A session of another cookie is none.
	other := newApp(t, func(o *session.Options) {
		o.Initer, o.Cookie.Name = initer(a.b, session.StoreConfig{}), "admin"
	})
	assert.ErrorIs(t, other.m.Edit(t.Context(), id, set), session.ErrNotFound)
	assert.Len(t, a.b.records, 1)
	assert.Empty(t, a.errs.all())
}

// TestEditIsBounded checks that Edit, Refresh and Take wait no longer than StoreTimeout,
// nor than the caller's context.
func TestEditIsBounded(t *testing.T) {
	a := newApp(t, func(o *session.Options) { o.StoreTimeout = time.Minute })
	a.Get("/set", func(s session.Session) { s.Set("k", 1) })
	_, id := a.get("/set", "")
	begin, looked := time.Now(), 0
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "the caller's")
	a.b.around = func(ctx context.Context, _, _ string, do func() error) error {
		end, ok := ctx.Deadline()
		assert.True(t, ok)
		assert.WithinRange(t, end, begin.Add(time.Minute), time.Now().Add(time.Minute))
		if ctx.Value(key{}) != nil {
			looked++
		}
		return do()
	}
	require.NoError(t, a.m.Edit(ctx, id, func(s session.Session) error {
		s.Set("k", 2)
		err := errors.Join(session.Commit(ctx, s), session.Refresh(ctx, s))
		k, _, taken := session.Take[int](ctx, s, "k")
		s.Set("k", k)
		return errors.Join(err, taken)
	}))
	a.Get("/", func(s session.Session) {
		assert.NoError(t, session.Refresh(ctx, s))
		k, _, err := session.Take[int](ctx, s, "k")
		assert.NoError(t, err)
		assert.Equal(t, 2, k)
	})
	a.get("/", id)
	assert.Equal(t, 7, looked)
}

// flakyReplace fails its next Replace: before it is done, or after.
type flakyReplace struct {
	*mapBackend
	refuse, lose atomic.Bool
}

func (b *flakyReplace) Replace(ctx context.Context, id string, old, r session.Record) error {
	if b.refuse.Swap(false) {
		return errPlanned
	}
	err := b.mapBackend.Replace(ctx, id, old, r)
	if b.lose.Swap(false) {
		return errPlanned
	}
	return err
}

// TestTakeInDoubt takes a code while the store fails. If that did not remove the code, it
// is there for the next; if it may have, nobody gets it. The response, which stores the
// rest, does not remove it after the fact.
func TestTakeInDoubt(t *testing.T) {
	for _, lost := range []bool{false, true} {
		b := &flakyReplace{mapBackend: newMapBackend()}
		a := newApp(t, func(o *session.Options) { o.Initer = initer(b, session.StoreConfig{}) })
		a.Get("/set", func(s session.Session) { s.Set("code", "1234") })
		a.Get("/fails", func(s session.Session) {
			b.refuse.Store(!lost)
			b.lose.Store(lost)
			code, ok, err := session.Take[string](t.Context(), s, "code")
			assert.ErrorIs(t, err, errPlanned)
			assert.False(t, ok)
			assert.Empty(t, code)
			s.Set("later", 1)
		})
		a.Get("/take", func(s session.Session) (string, error) {
			assert.Equal(t, 1, s.Get("later"))
			code, ok, err := session.Take[string](t.Context(), s, "code")
			return fmt.Sprint(code, ok), err
		})
		_, id := a.get("/set", "")
		rec, _ := a.get("/fails", id)
		require.Equal(t, http.StatusOK, rec.Code)
		rec, _ = a.get("/take", id)
		assert.Equal(t, map[bool]string{false: "1234true", true: "false"}[lost], rec.Body.String())
		rec, _ = a.get("/take", id)
		assert.Equal(t, "false", rec.Body.String())
		assert.Empty(t, a.errs.all())
	}
}

// TestTakeInOneRequest has goroutines of one request take a value, while others change
// the session.
func TestTakeInOneRequest(t *testing.T) {
	a := newApp(t)
	a.Get("/set", func(s session.Session) { s.Set("code", "1234") })
	a.Get("/take", func(s session.Session) string {
		var wg sync.WaitGroup
		var got atomic.Int64
		for range 8 {
			wg.Go(func() {
				if _, ok, err := session.Take[string](t.Context(), s, "code"); ok && err == nil {
					got.Add(1)
				}
			})
			wg.Go(func() {
				session.Update(s, "n", func(n int) int { return n + 1 })
				session.AddFlash(s, "f")
			})
		}
		wg.Wait()
		return fmt.Sprint(got.Load(), s.Get("n"))
	})
	a.Get("/look", func(s session.Session) string { return fmt.Sprint(s.Get("n"), len(session.Flashes(s))) })
	_, id := a.get("/set", "")
	rec, _ := a.get("/take", id)
	assert.Equal(t, "1 8", rec.Body.String())
	rec, _ = a.get("/look", id)
	assert.Equal(t, "8 8", rec.Body.String())
}

// TestTakeWants checks what Take refuses at once.
func TestTakeWants(t *testing.T) {
	a := newApp(t)
	a.Get("/", func(s session.Session) {
		s.Set("k", 1)
		_, ok, err := session.Take[int64](t.Context(), s, "flamego::session::created")
		assert.ErrorContains(t, err, "the library's own")
		assert.False(t, ok)
	})
	_, id := a.get("/", "")
	require.NotEmpty(t, id)
	_, ok, err := session.Take[int](t.Context(), session.NewBaseSession("abc", nil, nil), "k")
	assert.False(t, ok)
	assert.Error(t, err)
	s, err := a.m.Store().Read(t.Context(), id)
	require.NoError(t, err)
	k, ok, err := session.Take[int](t.Context(), s, "k")
	assert.Equal(t, "1 true <nil>", fmt.Sprint(k, ok, err))
}

// TestRefreshOutage asks a store that is unavailable, which is no end of the session.
func TestRefreshOutage(t *testing.T) {
	a := newApp(t)
	a.Get("/set", func(s session.Session) { s.Set("k", 1) })
	a.Get("/", func(s session.Session) {
		s.Set("k", 2)
		a.b.failReads.Store(true)
		err := session.Refresh(t.Context(), s)
		assert.Error(t, err)
		assert.NotErrorIs(t, err, session.ErrEnded)
		assert.Equal(t, 2, s.Get("k"))
		a.b.failReads.Store(false)
		assert.NoError(t, session.Refresh(t.Context(), s))
	})
	a.Get("/panics", func(s session.Session) error {
		first := true
		session.Update(s, "k", func(n int) int {
			if !first {
				panic(errPlanned)
			}
			first = false
			return n + 1
		})
		return session.Refresh(t.Context(), s)
	})
	a.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	_, id := a.get("/set", "")
	a.get("/", id)
	rec, _ := a.get("/get", id)
	assert.Equal(t, "2", rec.Body.String())
	rec, _ = a.get("/panics", id)
	assert.Contains(t, rec.Body.String(), "the function panicked", "Refresh returns it")
}

// TestRefreshAfterHijack keeps a session alive that has no response any more.
func TestRefreshAfterHijack(t *testing.T) {
	now := atomic.Int64{}
	now.Store(1e9)
	a := newApp(t, func(o *session.Options) {
		hook.SetClock(o, func() time.Time { return time.Unix(now.Load(), 0) })
	})
	a.Get("/set", func(s session.Session) { s.Set("k", 1) })
	a.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	a.Get("/end", func(s session.Session) { session.Destroy(s) })
	_, id := a.get("/set", "")
	done := make(chan struct{})
	a.Get("/ws", func(c flamego.Context, s session.Session) {
		defer close(done)
		conn, _, err := c.ResponseWriter().(http.Hijacker).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		defer func() { _ = conn.Close() }()
		for range 3 {
			at := session.Expires(s)
			assert.GreaterOrEqual(t, at.Unix(), now.Load()+3600)
			now.Store(at.Unix() - 10)
			assert.NoError(t, session.Refresh(t.Context(), s))
		}
		assert.NoError(t, a.m.Edit(t.Context(), id, func(s session.Session) error { s.Set("k", 2); return nil }))
		assert.NoError(t, session.Refresh(t.Context(), s))
		assert.Equal(t, 2, s.Get("k"))
		a.get("/end", id)
		assert.ErrorIs(t, session.Refresh(t.Context(), s), session.ErrEnded)
		assert.Zero(t, session.Expires(s))
	})
	srv := httptest.NewServer(a)
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/ws", nil)
	require.NoError(t, err)
	req.Header.Set("Cookie", "flamego_session="+id)
	res, err := http.DefaultClient.Do(req)
	if err == nil {
		_ = res.Body.Close()
	}
	<-done
}

// TestPassive covers what the conformance suite cannot see of passive requests.
func TestPassive(t *testing.T) {
	var asked atomic.Int64
	now := time.Unix(1e9, 0)
	var touched atomic.Int64
	a := newApp(t, func(o *session.Options) {
		o.Passive = func(r *http.Request) bool {
			asked.Add(1)
			if r.URL.Path == "/panic" {
				panic(errPlanned)
			}
			return strings.HasPrefix(r.URL.Path, "/poll")
		}
		hook.SetClock(o, func() time.Time { return now })
	})
	a.b.around = func(_ context.Context, method, _ string, do func() error) error {
		if method == "Touch" {
			touched.Add(1)
		}
		return do()
	}
	a.Get("/set", func(s session.Session) { s.SetFlash("hello") })
	a.Get("/poll", func(s session.Session, f session.Flash) string {
		session.FlashNow(s, "now")
		session.KeepFlash(s)
		return fmt.Sprint(f, session.Flashes(s))
	})
	a.Get("/poll/add", func(s session.Session) { session.AddFlash(s, "world") })
	a.Get("/panic", func() string { return "not reached" })
	a.Get("/take", func(f session.Flash) string { return fmt.Sprint(f) })

	a.get("/poll", "")
	a.get("/poll", strings.Repeat("a", 32))
	assert.Zero(t, asked.Load(), "nobody has a session")
	_, id := a.get("/set", "")
	expiry := a.b.records[id].Expiry
	now = now.Add(30 * time.Minute)
	before := a.b.calls.Load()
	rec, _ := a.get("/poll", id)
	assert.Equal(t, "<nil> [now]", rec.Body.String())
	assert.EqualValues(t, 1, a.b.calls.Load()-before, "a read")
	a.get("/poll/add", id)
	assert.Equal(t, expiry, a.b.records[id].Expiry)
	assert.Zero(t, touched.Load())

	rec, _ = a.get("/panic", id)
	assert.Equal(t, http.StatusInternalServerError, rec.Code)
	if errs := a.errs.all(); assert.Len(t, errs, 1) {
		assert.ErrorContains(t, errs[0], "Options.Passive: panic: as planned")
	}
	rec, _ = a.get("/take", id)
	assert.Equal(t, "[hello world]", rec.Body.String())
	assert.Equal(t, now.Add(63*time.Minute), a.b.records[id].Expiry)
}

// TestFlashOutside uses the flash verbs on Sessions that are not those of a request.
func TestFlashOutside(t *testing.T) {
	base := session.NewBaseSession("abc", nil, nil)
	session.AddFlash(base, "one")
	session.AddFlash(base, "two")
	session.FlashNow(base, "now")
	session.KeepFlash(base)
	assert.Nil(t, session.Flashes(base))
	assert.NoError(t, session.Refresh(t.Context(), base))
	assert.Zero(t, session.Expires(base))
	raw, err := base.Encode()
	require.NoError(t, err)

	a := newApp(t)
	a.Get("/", func(s session.Session) string { return fmt.Sprint(session.Flashes(s)) })
	id := strings.Repeat("a", 32)
	a.b.records[id] = session.Record{Data: raw, Expiry: time.Now().Add(time.Hour)}
	s, err := a.m.Store().Read(t.Context(), id)
	require.NoError(t, err)
	session.AddFlash(s, "three")
	session.FlashNow(s, "now")
	assert.Equal(t, []any{"now"}, session.Flashes(s))
	require.NoError(t, session.Commit(t.Context(), s))
	rec, _ := a.get("/", id)
	assert.Equal(t, "[one two three]", rec.Body.String())
}

// TestFlashNowConcurrently has goroutines of one request add its first flashes at once.
func TestFlashNowConcurrently(t *testing.T) {
	a := newApp(t)
	const adders = 8
	a.Get("/", func(s session.Session) {
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range adders {
			wg.Go(func() {
				<-start
				session.FlashNow(s, i)
			})
		}
		close(start)
		wg.Wait()
		assert.Len(t, session.Flashes(s), adders)
	})
	for range 1000 {
		a.get("/", "")
	}
}

// TestDeleteMeetsSet deletes a key that was not there when the request loaded its session, but
// that another request has set since: the last writer wins (G4).
func TestDeleteMeetsSet(t *testing.T) {
	a := newApp(t)
	begun, granted := make(chan struct{}), make(chan struct{})
	a.Get("/begin", func(s session.Session) { s.Set("user", 1) })
	a.Get("/grant", func(s session.Session) { s.Set("admin", true) })
	a.Get("/revoke", func(s session.Session) {
		_ = s.Get("user")
		close(begun)
		<-granted
		s.Delete("admin")
	})
	a.Get("/show", func(s session.Session) string { return fmt.Sprint(s.Get("admin")) })
	_, id := a.get("/begin", "")
	done := make(chan struct{})
	go func() { defer close(done); a.get("/revoke", id) }()
	<-begun
	a.get("/grant", id)
	close(granted)
	<-done
	rec, _ := a.get("/show", id)
	assert.Equal(t, "<nil>", rec.Body.String())
}

// TestUpdateUsesTheSession has the function of an Update do what it may, and what it may not.
func TestUpdateUsesTheSession(t *testing.T) {
	a := newApp(t)
	runs := 0
	step := func(s session.Session, inside func()) int {
		return session.Update(s, "n", func(n int) int { runs++; inside(); return n + 1 })
	}
	a.Get("/other", func(s session.Session) string {
		for i := range 3 {
			step(s, func() { s.Set("at", i); s.Delete("gone"); session.Update(s, "m", func(m int) int { return m + 1 }) })
		}
		return fmt.Sprint(s.Get("n"), s.Get("m"), s.Get("at"))
	})
	rec, id := a.get("/other", "")
	assert.Equal(t, "3 3 2", rec.Body.String())
	assert.Equal(t, 3, runs, "no other key makes it run again")
	rec, _ = a.get("/other", id)
	assert.Equal(t, "6 6 2", rec.Body.String())
	for name, inside := range map[string]func(s session.Session) func(){
		"Set": func(s session.Session) func() { return func() { s.Set("n", runs) } },
		"Update": func(s session.Session) func() {
			return func() { session.Update(s, "n", func(n int) int { return n + 1 }) }
		},
	} {
		a.Get("/"+name, func(s session.Session) {
			assert.PanicsWithValue(t, `session: Update: the function changes the key "n" itself: return the new value instead`, func() { step(s, inside(s)) }, name)
		})
		a.get("/"+name, id)
	}
}
