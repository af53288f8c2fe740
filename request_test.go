package session_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// app is a Flamego instance with a Manager on a backend that can be watched.
type app struct {
	*flamego.Flame
	m    *session.Manager
	b    *faultyBackend
	errs *errorList
}

func newApp(t *testing.T, change ...func(*session.Options)) *app {
	t.Helper()
	a := &app{Flame: flamego.NewWithLogger(io.Discard), b: newFaultyBackend(), errs: &errorList{}}
	opt := session.Options{
		Initer: initer(a.b, session.StoreConfig{}), ErrorFunc: a.errs.add,
		GCInterval: 1e6 * time.Hour, // A sweep would look at the test's clock, which has no lock.
	}
	for _, fn := range change {
		fn(&opt)
	}
	m, err := session.NewManager(opt)
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close(context.Background()) })
	a.m = m
	a.b.calls.Store(0) // Those of the start.
	a.Use(m.Sessioner())
	return a
}

// get asks with the given ID in the cookie, and returns the ID that is set.
func (a *app) get(path, id string) (*httptest.ResponseRecorder, string) {
	rec := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, path, nil)
	if id != "" {
		req.Header.Set("Cookie", "flamego_session="+id)
	}
	a.ServeHTTP(rec, req)
	for _, c := range rec.Result().Cookies() {
		if c.Name == "flamego_session" {
			return rec, c.Value
		}
	}
	return rec, ""
}

// TestUntouchedVisitors sends 20,000 visitors without a cookie to a route that
// does not use the session (G10).
func TestUntouchedVisitors(t *testing.T) {
	a := newApp(t)
	a.Get("/", func() string { return "ok" })
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var ms runtime.MemStats
		runtime.ReadMemStats(&ms)
		return ms.HeapAlloc
	}
	visit := func(n int) {
		for range n {
			rec, _ := a.get("/", "")
			require.Equal(t, http.StatusOK, rec.Code)
			require.NotContains(t, rec.Header(), "Set-Cookie")
		}
	}
	visit(1000)
	before := heap()
	visit(20000)
	after := heap()
	assert.Less(t, float64(after), float64(before)+128<<10, "the heap grew from %d to %d", before, after)
	assert.Zero(t, a.b.calls.Load(), "store calls")
	assert.Empty(t, a.b.records)
}

// TestStoreCalls counts what a request costs the store.
func TestStoreCalls(t *testing.T) {
	a := newApp(t)
	a.Get("/read", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	a.Get("/set", func(s session.Session) { s.Set("k", 1); s.Set("j", 2) })
	a.Get("/flash", func(s session.Session) { s.SetFlash("f") })
	a.Get("/delete-missing", func(s session.Session) { s.Delete("missing") })
	a.Get("/rotate", func(c flamego.Context, s session.Session) error {
		s.Set("k", 2)
		return s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	})
	cost := func(path, id string) int64 {
		before := a.b.calls.Load()
		rec, _ := a.get(path, id)
		require.Equal(t, http.StatusOK, rec.Code)
		return a.b.calls.Load() - before
	}
	_, id := a.get("/set", "")
	assert.EqualValues(t, 1, cost("/set", ""), "a new session: one record made")
	assert.EqualValues(t, 1, cost("/read", id), "a read")
	assert.EqualValues(t, 2, cost("/set", id), "a read and a write")
	assert.EqualValues(t, 2, cost("/delete-missing", id), "another look, and nothing to write")
	assert.EqualValues(t, 0, cost("/delete-missing", ""), "no session")
	assert.EqualValues(t, 2, cost("/flash", id))
	assert.EqualValues(t, 2, cost("/read", id), "a read, and the flash taken")
	assert.EqualValues(t, 3, cost("/rotate", id), "a rotation is one write, with the changes, and one for the forward")
}

func TestWriteIDFunc(t *testing.T) {
	type told struct {
		id      string
		created bool
	}
	var log []told
	a := newApp(t, func(o *session.Options) {
		o.ReadIDFunc = func(r *http.Request) string { return r.Header.Get("Authorization") }
		o.WriteIDFunc = func(_ http.ResponseWriter, _ *http.Request, sid string, created bool) {
			log = append(log, told{sid, created})
		}
	})
	a.Get("/untouched", func() string { return "ok" })
	a.Get("/login", func(s session.Session) string { s.Set("user", 1); return s.ID() })
	a.Get("/user", func(s session.Session) string { return fmt.Sprint(s.Get("user")) })
	a.Get("/rotate", func(c flamego.Context, s session.Session) (string, error) {
		err := s.RegenerateID(c.ResponseWriter(), c.Request().Request)
		return s.ID(), err
	})
	a.Get("/logout", func(s session.Session) { session.Destroy(s) })
	get := func(path, token string) string {
		log = nil
		rec := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodGet, path, nil)
		req.Header.Set("Authorization", token)
		a.ServeHTTP(rec, req)
		assert.Empty(t, rec.Header().Get("Set-Cookie"))
		return rec.Body.String()
	}
	get("/untouched", "")
	assert.Empty(t, log)
	token := get("/login", "not a token")
	assert.Equal(t, []told{{token, true}}, log)
	assert.Equal(t, "1", get("/user", token))
	assert.Equal(t, []told{{token, false}}, log, "the client named it itself")
	next := get("/rotate", token)
	assert.NotEqual(t, token, next)
	assert.Equal(t, []told{{token, false}, {next, true}}, log)
	assert.Equal(t, "<nil>", get("/user", token))
	assert.Equal(t, "1", get("/user", next))
	get("/logout", next)
	assert.Equal(t, []told{{next, false}}, log)
	assert.Equal(t, "<nil>", get("/user", next))
}

// TestInjectedStore does what applications for v1.6.6 do with the Store.
func TestInjectedStore(t *testing.T) {
	a := newApp(t)
	a.Get("/set", func(s session.Session) { s.Set("k", 1) })
	a.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	a.Get("/rotate-and-clean", func(c flamego.Context, s session.Session, st session.Store) error {
		old := s.ID()
		if err := s.RegenerateID(c.ResponseWriter(), c.Request().Request); err != nil {
			return err
		}
		if err := st.Destroy(c.Request().Context(), old); err != nil {
			return err
		}
		return st.Save(c.Request().Context(), s)
	})
	a.Get("/logout", func(c flamego.Context, s session.Session, st session.Store) error {
		s.Flush()
		if err := st.Destroy(c.Request().Context(), s.ID()); err != nil {
			return err
		}
		s.Flush()
		return nil
	})
	a.Get("/other", func(c flamego.Context, s session.Session, st session.Store) (string, error) {
		if own, err := st.Read(c.Request().Context(), s.ID()); err != nil || own != s {
			return "", fmt.Errorf("Read of the own ID: another session, or %w", err)
		}
		other, err := st.Read(c.Request().Context(), c.Query("id"))
		if err != nil {
			return "", err
		}
		other.Set("k", "from afar")
		return "", st.Save(c.Request().Context(), other)
	})
	_, id := a.get("/set", "")
	rec, moved := a.get("/rotate-and-clean", id)
	require.Equal(t, http.StatusOK, rec.Code, rec.Body)
	require.NotEmpty(t, moved)
	rec, _ = a.get("/get", moved)
	assert.Equal(t, "1", rec.Body.String(), "destroying the old ID must not end the session that moved")
	rec, _ = a.get("/get", id)
	assert.Equal(t, "<nil>", rec.Body.String())

	rec, _ = a.get("/other?id="+moved, "")
	require.Equal(t, http.StatusOK, rec.Code, rec.Body)
	rec, _ = a.get("/get", moved)
	assert.Equal(t, "from afar", rec.Body.String())

	before := len(a.b.records)
	_, cookie := a.get("/logout", moved)
	assert.Empty(t, cookie)
	assert.Len(t, a.b.records, before-1)
	_, cookie = a.get("/logout", "")
	assert.Empty(t, cookie)
	assert.Len(t, a.b.records, before-1, "nothing is made by ending it")
}

// TestUsedTwice puts the same Manager on the application and on a group.
func TestUsedTwice(t *testing.T) {
	a := newApp(t)
	a.Group("/group", func() {
		a.Get("/add", func(s session.Session) string {
			return fmt.Sprint(session.Update(s, "n", func(n int) int { return n + 1 }))
		})
	}, func(s session.Session) { s.Set("before", true) }, a.m.Sessioner(),
		func(s session.Session) string {
			if s.Get("before") == nil {
				return "the second use has a session of its own"
			}
			return ""
		})
	rec, id := a.get("/group/add", "")
	assert.Equal(t, "1", rec.Body.String())
	calls := a.b.calls.Load()
	rec, _ = a.get("/group/add", id)
	assert.Equal(t, "2", rec.Body.String())
	assert.EqualValues(t, 2, a.b.calls.Load()-calls, "one load, one write")
}

// TestLaterHook changes the session in a hook of another middleware.
func TestLaterHook(t *testing.T) {
	a := newApp(t)
	a.Use(func(c flamego.Context, s session.Session) {
		c.ResponseWriter().Before(func(flamego.ResponseWriter) { s.Set("k", "hooked") })
	})
	a.Get("/", func() string { return "ok" })
	a.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	_, id := a.get("/", "")
	require.NotEmpty(t, id)
	rec, _ := a.get("/get", id)
	assert.Equal(t, "hooked", rec.Body.String())
}

func TestCommit(t *testing.T) {
	a := newApp(t)
	a.Get("/set", func(s session.Session) { s.Set("k", 1) })
	a.Get("/ended", func(c flamego.Context, s session.Session, st session.Store) string {
		s.Set("k", 2)
		_ = a.m.Store().Destroy(context.Background(), s.ID()) // Somebody else does.
		err := session.Commit(c.Request().Context(), s)
		assert.ErrorIs(t, err, session.ErrEnded)
		assert.Nil(t, s.Get("k"))
		assert.NoError(t, session.Commit(c.Request().Context(), s))
		return "ok"
	})
	a.Get("/fails", func(c flamego.Context, s session.Session) string {
		s.Set("k", 3)
		a.b.fail.Store(true)
		assert.ErrorIs(t, session.Commit(c.Request().Context(), s), errDown)
		assert.Equal(t, 3, s.Get("k"))
		a.b.fail.Store(false)
		return "stored with the response"
	})
	a.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })

	_, id := a.get("/set", "")
	rec, cookie := a.get("/fails", id)
	assert.Equal(t, "stored with the response", rec.Body.String())
	assert.Empty(t, cookie)
	rec, _ = a.get("/get", id)
	assert.Equal(t, "3", rec.Body.String())

	rec, _ = a.get("/ended", id)
	assert.Equal(t, http.StatusOK, rec.Code)
	assert.NotContains(t, rec.Header(), "Set-Cookie", "the client may hold a newer session by now")
	rec, _ = a.get("/get", id)
	assert.Equal(t, "<nil>", rec.Body.String())
}

// TestUpdatePanicsOnNewer panics in the function of Update when it runs again, while
// the response is being written.
func TestUpdatePanicsOnNewer(t *testing.T) {
	a := newApp(t)
	a.Use(func(s session.Session) { _ = s.Get("k") })
	a.Get("/set", func(s session.Session) { s.Set("n", 1) })
	a.Get("/update", func(s session.Session) string {
		session.Update(s, "n", func(n int) int {
			if n != 1 {
				panic("not 1")
			}
			return n + 1
		})
		other, _ := a.m.Store().Read(context.Background(), s.ID())
		other.Set("n", 7)
		assert.NoError(t, a.m.Store().Save(context.Background(), other))
		return "ok"
	})
	a.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("n")) })
	_, id := a.get("/set", "")
	rec, _ := a.get("/update", id)
	assert.Equal(t, http.StatusInternalServerError, rec.Code)
	assert.ErrorContains(t, a.errs.last(), "the function panicked: not 1")
	rec, _ = a.get("/get", id)
	assert.Equal(t, "7", rec.Body.String())
}

// TestManyGoroutines uses one request's session from many goroutines.
func TestManyGoroutines(t *testing.T) {
	a := newApp(t)
	a.Get("/", func(c flamego.Context, s session.Session) string {
		done := make(chan bool)
		const n = 32
		for i := range n {
			go func() {
				session.Update(s, "n", func(n int) int { return n + s.Get("one").(int) })
				s.Set(fmt.Sprint(i), i)
				s.Delete("nothing")
				_, _ = s.Encode()
				_ = s.HasChanged()
				done <- true
			}()
		}
		for range n {
			assert.NoError(t, session.Commit(context.Background(), s))
			<-done
		}
		return fmt.Sprint(s.Get("n"))
	})
	a.Get("/one", func(s session.Session) { s.Set("one", 1) })
	_, id := a.get("/one", "")
	rec, _ := a.get("/", id)
	assert.Equal(t, "32", rec.Body.String())
	rec, _ = a.get("/", id)
	assert.Equal(t, "64", rec.Body.String())
}

// TestLoadFails checks that the client gets 500 at once, and no handler runs.
func TestLoadFails(t *testing.T) {
	a := newApp(t)
	called := false
	a.Get("/", func() string { called = true; return "ok" })
	a.b.failReads.Store(true)
	rec, _ := a.get("/", strings.Repeat("a", 32))
	assert.Equal(t, http.StatusInternalServerError, rec.Code)
	assert.False(t, called)
	assert.ErrorIs(t, a.errs.last(), errDown)
	rec, _ = a.get("/", "")
	assert.Equal(t, "ok", rec.Body.String())
}

// TestTouchFails checks that the request is served: its session can still be used.
func TestTouchFails(t *testing.T) {
	a := newApp(t)
	a.Get("/set", func(s session.Session) { s.Set("k", 1) })
	a.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	_, id := a.get("/set", "")
	a.b.expire(id, time.Now().Add(time.Minute))
	a.b.fail.Store(true)
	rec, _ := a.get("/get", id)
	assert.Equal(t, "1", rec.Body.String())
	assert.ErrorIs(t, a.errs.last(), errDown)
}

// TestBehindAWriter has the middleware come after a handler that has written: nobody
// can be told anything any more (G3).
func TestBehindAWriter(t *testing.T) {
	a := newApp(t)
	a.Get("/set", func(s session.Session) { s.Set("k", 1) })
	a.Get("/read", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	_, id := a.get("/set", "")

	late := &app{Flame: flamego.NewWithLogger(io.Discard), m: a.m}
	var rotated error
	late.Use(func(c flamego.Context) { c.ResponseWriter().WriteHeader(http.StatusAccepted); c.Next() }, a.m.Sessioner())
	late.Get("/rotate", func(c flamego.Context, s session.Session) {
		rotated = s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	})
	late.Get("/set", func(s session.Session) { s.Set("k", 2) })
	rec, told := late.get("/rotate", id)
	assert.Equal(t, http.StatusAccepted, rec.Code)
	assert.Error(t, rotated)
	assert.Empty(t, told)
	records := len(a.b.records)
	late.get("/set", "")
	assert.ErrorContains(t, a.errs.last(), "use the session before writing")
	assert.Len(t, a.b.records, records)
	rec, _ = a.get("/read", id)
	assert.Equal(t, "1", rec.Body.String(), "the session is where it was")
}

// TestFailureAfterEarlyHints has the store fail when all that was written is an
// informational response.
func TestFailureAfterEarlyHints(t *testing.T) {
	a := newApp(t)
	a.Get("/", func(w http.ResponseWriter, s session.Session) {
		w.WriteHeader(http.StatusEarlyHints)
		s.Set("k", 1)
	})
	srv := httptest.NewServer(a)
	defer srv.Close()
	a.b.fail.Store(true)
	res, err := http.Get(srv.URL)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	assert.Equal(t, http.StatusInternalServerError, res.StatusCode)
}
