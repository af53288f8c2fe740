package cookie

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
	"github.com/flamego/session/sessiontest"
)

// app is a small application, and what it told ErrorFunc.
type app struct {
	*flamego.Flame
	m    *session.Manager
	mu   sync.Mutex
	errs []string
}

func newApp(t *testing.T, cfg Config, change func(*session.Options)) *app {
	t.Helper()
	a := &app{Flame: flamego.NewWithLogger(new(bytes.Buffer))}
	opt := session.Options{Initer: Initer(), Config: cfg, ErrorFunc: func(err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.errs = append(a.errs, err.Error())
	}}
	if change != nil {
		change(&opt)
	}
	m, err := session.NewManager(opt)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Close(context.Background())) })
	a.m = m
	a.Use(m.Sessioner())
	a.Get("/set", func(c flamego.Context, s session.Session) string { s.Set(c.Query("k"), c.Query("v")); return "set" })
	a.Get("/get", func(c flamego.Context, s session.Session) string { return fmt.Sprint(s.Get(c.Query("k"))) })
	return a
}

// get asks with the given cookie and returns the one that the answer sets.
func (a *app) get(path, token string) (*httptest.ResponseRecorder, string) {
	rec := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, path, nil)
	if token != "" {
		req.Header.Set("Cookie", "flamego_session="+token)
	}
	a.ServeHTTP(rec, req)
	for _, c := range rec.Result().Cookies() {
		return rec, c.Value
	}
	return rec, ""
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  any
		want []string
	}{
		{"none", nil, []string{"Options.Config is not set", "cookie.Config"}},
		{"another", session.FileConfig{}, []string{"session.FileConfig", "cookie.Config"}},
		{"no keys", Config{}, []string{"cookie: Config.Keys", "no key", "openssl rand -hex 32"}},
		{"short", Config{Keys: [][]byte{key(1), key(2)[:16]}}, []string{"cookie: Config.Keys", "index 1", "16 bytes", "openssl rand -hex 32"}},
		{"in hexadecimal", Config{Keys: [][]byte{[]byte(hex.EncodeToString(key(1)))}}, []string{"64 bytes", "session.ParseKey"}},
		{"twice", Config{Keys: [][]byte{key(1), key(1)}}, []string{"the same"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := session.NewManager(session.Options{Initer: Initer(), Config: c.cfg})
			for _, part := range c.want {
				assert.ErrorContains(t, err, part)
			}
		})
	}
	_, err := session.NewManager(session.Options{
		Initer: Initer(), Config: &Config{Keys: [][]byte{key(1)}},
		Transport: session.FirstOf(session.CookieTransport(), session.QueryTransport("sid")),
	})
	assert.ErrorContains(t, err, "Transport")
}

func TestForgedCookies(t *testing.T) {
	a := newApp(t, Config{Keys: [][]byte{key(1)}}, nil)
	_, token := a.get("/set?k=user&v=alice", "")
	rec, _ := a.get("/get?k=user", token)
	require.Equal(t, "alice", rec.Body.String())
	other := newApp(t, Config{Keys: [][]byte{key(2)}}, nil)
	_, foreign := other.get("/set?k=user&v=admin", "")
	for name, value := range map[string]string{
		"another key": foreign, "tampered": token[:80] + "AAAA" + token[84:], "truncated": token[:len(token)-2],
		"twice": token + token, "an ID": strings.Repeat("a", 32), "huge": strings.Repeat("A", 100_000), "upper case": strings.ToUpper(token),
	} {
		rec, fresh := a.get("/get?k=user", value)
		assert.Equal(t, http.StatusOK, rec.Code, name)
		assert.Equal(t, "<nil>", rec.Body.String(), name)
		assert.Empty(t, fresh, name)
		rec, fresh = a.get("/set?k=user&v=bob", value)
		assert.Equal(t, http.StatusOK, rec.Code, name)
		assert.NotEqual(t, value, fresh, name)
		rec, _ = a.get("/get?k=user", fresh)
		assert.Equal(t, "bob", rec.Body.String(), name)
	}
	assert.Empty(t, a.errs, "anybody can fill the log")
}

// TestUndecodable opens a cookie of ours whose data can no longer be decoded, as after
// a change of the encoding.
func TestUndecodable(t *testing.T) {
	old := newApp(t, Config{Keys: [][]byte{key(1)}}, nil)
	_, token := old.get("/set?k=user&v=alice", "")
	a := newApp(t, Config{Keys: [][]byte{key(1)}, Decoder: func(b []byte) (session.Data, error) {
		data, err := session.GobDecoder(b)
		if data["user"] != nil {
			err = errors.New("no sense")
		}
		return data, err
	}}, nil)
	rec, fresh := a.get("/get?k=user", token)
	assert.Equal(t, http.StatusOK, rec.Code)
	assert.Empty(t, fresh)
	require.Len(t, a.errs, 1)
	assert.Contains(t, a.errs[0], "no sense")
	assert.NotContains(t, a.errs[0], token)
}

func TestTooLarge(t *testing.T) {
	// The largest value that fits, by trial; then one byte more.
	a := newApp(t, Config{Keys: [][]byte{key(1)}}, nil)
	_, small := a.get("/set?k=small&v=1", "")
	fits := 0
	for lo, hi := 0, 5000; lo <= hi; {
		n := (lo + hi) / 2
		if rec, token := a.get("/set?k=cart&v="+strings.Repeat("x", n), small); rec.Code == http.StatusOK {
			require.LessOrEqual(t, len("flamego_session")+len(token), 4096)
			fits, lo = n, n+1
		} else {
			hi = n - 1
		}
	}
	t.Logf("a value of %d bytes fits", fits)
	assert.Greater(t, fits, 2700)
	a.errs = nil
	rec, token := a.get("/set?k=cart&v="+strings.Repeat("x", fits+1), small)
	assert.Equal(t, http.StatusInternalServerError, rec.Code)
	assert.Empty(t, token)
	require.Len(t, a.errs, 1)
	for _, part := range []string{"browsers keep 4096", `"cart" with 2`, `"small" with`} {
		assert.Contains(t, a.errs[0], part)
	}
	assert.Less(t, strings.Index(a.errs[0], `"cart"`), strings.Index(a.errs[0], `"small"`))

	// The handler can find out, and do without.
	a.Get("/commit", func(c flamego.Context, s session.Session) string {
		s.Set("cart", strings.Repeat("x", 5000))
		err := session.Commit(c.Request().Context(), s)
		s.Delete("cart")
		s.Set("small", "2")
		return fmt.Sprint(err)
	})
	rec, token = a.get("/commit", small)
	assert.Contains(t, rec.Body.String(), "browsers keep 4096")
	rec, _ = a.get("/get?k=small", token)
	assert.Equal(t, "2", rec.Body.String())
}

// TestKeyRotation goes through three keys. A session is sealed under the first key
// when it is written, or when its expiry slides.
func TestKeyRotation(t *testing.T) {
	now := time.Now()
	k1, k2, k3 := key(1), key(2), key(3)
	open := func(keys ...[]byte) *app {
		return newApp(t, Config{Keys: keys}, func(o *session.Options) {
			hook.SetClock(o, func() time.Time { return now })
		})
	}
	_, read := open(k1).get("/set?k=k&v=read", "")
	_, written := open(k1).get("/set?k=k&v=0", "")
	for i, keys := range [][][]byte{{k1, k2}, {k2, k1}, {k2}, {k2, k3}, {k3, k2}, {k3}} {
		a := open(keys...)
		now = now.Add(10 * time.Minute) // Longer than the twentieth that is not written.
		rec, token := a.get("/get?k=k", read)
		require.Equal(t, "read", rec.Body.String(), "step %d: lost", i)
		require.NotEmpty(t, token, "step %d: not sealed anew", i)
		read = token
		_, token = a.get("/get?k=k", read)
		require.Empty(t, token, "step %d: sent again at once", i)
		rec, token = a.get(fmt.Sprint("/set?k=k&v=", i+1), written)
		require.Equal(t, http.StatusOK, rec.Code)
		written = token
		rec, _ = open(keys[0]).get("/get?k=k", written)
		require.Equal(t, fmt.Sprint(i+1), rec.Body.String(), "step %d: not under the first key", i)
		rec, _ = open(keys[0]).get("/get?k=k", read)
		require.Equal(t, "read", rec.Body.String(), "step %d: not under the first key", i)
	}
	rec, _ := open(k1, k2).get("/get?k=k", read)
	assert.Equal(t, "<nil>", rec.Body.String(), "a key that was taken away still opens")
}

// TestStore checks what the Store can do outside of requests: read, but not write.
func TestStore(t *testing.T) {
	a := newApp(t, Config{Keys: [][]byte{key(1)}}, nil)
	_, token := a.get("/set?k=k&v=v", "")
	ctx, st := t.Context(), a.m.Store()
	require.True(t, st.Exist(ctx, token))
	sess, err := st.Read(ctx, token)
	require.NoError(t, err)
	assert.Equal(t, "v", sess.Get("k"))
	assert.Len(t, sess.ID(), 32)
	sess.Set("k", "changed")
	const out = "out of reach"
	assert.ErrorContains(t, st.Save(ctx, sess), out)
	assert.ErrorContains(t, session.Commit(ctx, sess), out)
	assert.ErrorContains(t, st.Save(ctx, session.NewBaseSession(strings.Repeat("b", 32), nil, nil)), out)
	assert.ErrorContains(t, st.Destroy(ctx, sess.ID()), out)
	assert.NoError(t, st.Touch(ctx, token))
	assert.NoError(t, st.GC(ctx))
	_, err = a.m.Count(ctx)
	assert.ErrorIs(t, err, errors.ErrUnsupported)
	assert.ErrorContains(t, err, "clients keep the sessions")
	assert.False(t, st.Exist(ctx, sess.ID()), "an ID is not the way to the session")

	// In its own request the session is known by its ID.
	a.Get("/own", func(c flamego.Context, s session.Session, st session.Store) {
		assert.True(t, st.Exist(c.Request().Context(), s.ID()))
		own, err := st.Read(c.Request().Context(), s.ID())
		assert.NoError(t, err)
		own.Set("k", "own")
		assert.NoError(t, st.Save(c.Request().Context(), own))
	})
	_, token = a.get("/own", token)
	rec, _ := a.get("/get?k=k", token)
	assert.Equal(t, "own", rec.Body.String())
}

// TestBrowser checks that the helpers for handler tests work with cookies too.
func TestBrowser(t *testing.T) {
	a := newApp(t, Config{Keys: [][]byte{key(1)}}, nil)
	a.Get("/flash", func(flash session.Flash) string { return fmt.Sprint(flash) })
	b := sessiontest.NewBrowser(t, a, a.m)
	assert.Nil(t, b.Session())
	b.SetSession(map[string]any{"k": "v"})
	assert.Equal(t, "v", b.Get("/get?k=k").Body)
	b.SetFlash("hello")
	assert.Equal(t, "hello", b.Flash())
	assert.Equal(t, "hello", b.Get("/flash").Body)
	assert.Nil(t, b.Flash())
	assert.Equal(t, "v", b.Session().Get("k"))
}

// TestHeaderTransport carries the session in a header.
func TestHeaderTransport(t *testing.T) {
	a := newApp(t, Config{Keys: [][]byte{key(1)}}, func(o *session.Options) { o.Transport = session.BearerTransport() })
	rec, _ := a.get("/set?k=k&v=v", "")
	token := rec.Header().Get("Authorization")
	require.NotEmpty(t, token)
	rec = httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, "/get?k=k", nil)
	req.Header.Set("Authorization", token)
	a.ServeHTTP(rec, req)
	assert.Equal(t, "v", rec.Body.String())
}

// TestOtherHeader presents one Manager's session to another with the same keys, which
// uses its own header.
func TestOtherHeader(t *testing.T) {
	header := func(name string) *app {
		return newApp(t, Config{Keys: [][]byte{key(1)}}, func(o *session.Options) { o.Transport = session.HeaderTransport(name) })
	}
	users, admin := header("X-User"), header("X-Admin")
	rec, _ := users.get("/set?k=user&v=mallory", "")
	token := rec.Header().Get("X-User")
	require.NotEmpty(t, token)
	for _, a := range []struct {
		app        *app
		name, want string
	}{{users, "X-User", "mallory"}, {admin, "X-Admin", "<nil>"}} {
		req := httptest.NewRequest(http.MethodGet, "/get?k=user", nil)
		req.Header.Set(a.name, token)
		rec := httptest.NewRecorder()
		a.app.ServeHTTP(rec, req)
		assert.Equal(t, a.want, rec.Body.String(), a.name)
	}
}

// TestNothingLate has handlers that change nothing, for a visitor without a session:
// there is nothing to report.
func TestNothingLate(t *testing.T) {
	a := newApp(t, Config{Keys: [][]byte{key(1)}}, nil)
	a.Get("/flush", func(s session.Session) string { s.Flush(); return "signed out" })
	a.Get("/remember", func(s session.Session) (string, error) { return "later", session.Remember(s, time.Hour) })
	for _, path := range []string{"/flush", "/remember"} {
		rec, token := a.get(path, "")
		assert.Equal(t, http.StatusOK, rec.Code, path)
		assert.Empty(t, token, path)
	}
	assert.Empty(t, a.errs)
}

// TestDestroyedBeforeAFailure ends a session with Commit before the response fails: the
// client must still drop the cookie.
func TestDestroyedBeforeAFailure(t *testing.T) {
	a := newApp(t, Config{Keys: [][]byte{key(1)}}, nil)
	a.Get("/out", func(c flamego.Context, s session.Session) string {
		session.Destroy(s)
		assert.NoError(t, session.Commit(c.Request().Context(), s))
		s.Set("k", strings.Repeat("x", 5000))
		return "secret"
	})
	_, token := a.get("/set?k=user&v=alice", "")
	rec, _ := a.get("/out", token)
	assert.Equal(t, http.StatusInternalServerError, rec.Code)
	assert.Contains(t, rec.Header().Get("Set-Cookie"), "flamego_session=;")
}
