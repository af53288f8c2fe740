package session_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/cookie"
	"github.com/flamego/session/internal/hook"
	"github.com/flamego/session/sqlite"
)

// TestCookiesOfTheSameName checks that a cookie of the same name from another host of
// the domain neither puts the visitor into somebody else's session, nor locks them out
// for good.
func TestCookiesOfTheSameName(t *testing.T) {
	a := newApp(t)
	a.Get("/set", func(s session.Session) { s.Set("k", "mine") })
	a.Get("/other", func(s session.Session) { s.Set("k", "planted") })
	a.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	_, mine := a.get("/set", "")
	_, planted := a.get("/other", "")
	dead := strings.Repeat("0", 32)
	name := "flamego_session="
	for cookies, want := range map[string]string{
		name + dead + "; " + name + mine:                     "mine",
		name + mine + "; " + name + dead:                     "mine",
		name + "?; " + name + mine:                           "mine",
		name + mine + "; " + name + mine:                     "mine",
		"x=1; " + name + dead + ";y=2;" + name + mine:        "mine",
		name + planted + "; " + name + mine:                  "<nil>",
		name + mine + "; " + name + dead + ";" + name + mine: "mine",
	} {
		a.errs.clear()
		rec := a.ask("/get", "Cookie", cookies)
		assert.Equal(t, want, rec.Body.String(), cookies)
		if want == "mine" {
			assert.NoError(t, a.errs.last())
			continue
		}
		require.ErrorContains(t, a.errs.last(), "__Host-")
		assert.NotContains(t, a.errs.last().Error(), mine)
	}
	// Somebody who sends a hundred makes the store and the log work for a few.
	calls, before := a.b.calls.Load(), a.m.Stats()
	var many []string
	for i := range 100 {
		many = append(many, name+"?", name+dead, fmt.Sprintf("%s%032d", name, i))
	}
	a.ask("/get", "Cookie", strings.Join(many, "; "))
	assert.Equal(t, int64(8), a.b.calls.Load()-calls)
	after := a.m.Stats()
	assert.Equal(t, int64(8), after.UnknownIDs-before.UnknownIDs)
	assert.Equal(t, int64(1), after.MalformedIDs-before.MalformedIDs)
}

// TestCookieNamesAreExact sets cookies whose names only look like that of the session. A
// browser lets another host of the domain set any of them, even with __Host-.
func TestCookieNamesAreExact(t *testing.T) {
	const name = "__Host-session"
	a := newUserApp(t, nil, func(o *session.Options) { o.Cookie = session.CookieOptions{Name: name, Secure: true} })
	planted := a.ask("/set").Result().Cookies()[0].Value
	mine := a.ask("/set").Result().Cookies()[0].Value
	var others []string
	for _, space := range "\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff\v\f\x00" {
		others = append(others, string(space)+name, name+string(space))
	}
	others = append(others, strings.ToLower(name), strings.ToUpper(name), `"`+name+`"`, "_"+name, name+"2", "\x85"+name, "\xa0"+name)
	for _, other := range others {
		assert.Equal(t, "<nil>", a.ask("/who", "Cookie", other+"="+planted).Body.String(), "%q", other)
		assert.Equal(t, "42", a.ask("/who", "Cookie", other+"="+planted+"; "+name+"="+mine).Body.String(), "%q keeps the visitor out", other)
	}
	for _, value := range []string{planted + "\u00a0", "\u2000" + planted, `""` + planted + `""`, `"` + planted, planted + `"`, `'` + planted + `'`, strings.ToUpper(planted)} {
		assert.Equal(t, "<nil>", a.ask("/who", "Cookie", name+"="+value).Body.String(), "%q", value)
	}
	for _, line := range []string{name + "=" + mine, " \t" + name + "=" + mine + " \t", name + `="` + mine + `"`} {
		assert.Equal(t, "42", a.ask("/who", "Cookie", line).Body.String(), "%q", line)
	}
}

// TestTwoIDsOfOneSession brings the ID from before a renewal as well as the one from after
// it, as when Cookie.Path has changed and the browser keeps both cookies.
func TestTwoIDsOfOneSession(t *testing.T) {
	for _, hash := range []bool{false, true} {
		a, pass := newRenewingApp(t, hash)
		_, old := a.get("/in", "")
		pass(10 * time.Minute)
		_, id := a.get("/who", old)
		require.NotEmpty(t, id)
		for _, cookies := range []string{"flamego_session=" + old + "; flamego_session=" + id, "flamego_session=" + id + "; flamego_session=" + old} {
			rec := a.ask("/who", "Cookie", cookies)
			assert.Equal(t, "42", rec.Body.String())
			assert.NoError(t, a.errs.last())
			assert.Empty(t, rec.Header()["Set-Cookie"])
		}
	}
}

// TestMovedAndDead brings an ID that has just moved, besides others. Nothing takes its
// place (G7), unless the request has a session of its own.
func TestMovedAndDead(t *testing.T) {
	a := newUserApp(t, nil, func(o *session.Options) {
		o.Transport = session.FirstOf(session.CookieTransport(), session.HeaderTransport("X-Session"))
	})
	a.Get("/anew", func(s session.Session) { session.Destroy(s); s.Set("user", "7") })
	_, moved := a.get("/set", "")
	_, id := a.get("/rotate", moved)
	require.NotEmpty(t, id)
	dead := "flamego_session=" + strings.Repeat("0", 32)
	for _, cookies := range []string{dead + "; flamego_session=" + moved, "flamego_session=" + moved + "; " + dead} {
		rec := a.ask("/set", "Cookie", cookies)
		assert.Empty(t, rec.Header()["Set-Cookie"], cookies)
	}
	rec := a.ask("/anew", "Cookie", "flamego_session="+moved, "X-Session", id)
	sent := rec.Header().Get("X-Session")
	require.NotEmpty(t, sent)
	assert.Equal(t, "7", a.ask("/who", "X-Session", sent).Body.String())
}

// TestDeadLink follows a link with a dead ID: a sign-in stays in the cookie.
func TestDeadLink(t *testing.T) {
	dead := "/signin?sid=" + strings.Repeat("0", 32)
	query, cookie := session.QueryTransport("sid"), session.CookieTransport()
	for name, test := range map[string]struct {
		way  session.Transport
		both bool // a session in the cookie, too
	}{
		"cookie first":             {session.FirstOf(cookie, query), false},
		"cookie first, signed in":  {session.FirstOf(cookie, query), true},
		"query first, with cookie": {session.FirstOf(query, cookie), true},
	} {
		a := transportApp(t, test.way)
		a.Get("/signin", func(c flamego.Context, s session.Session) (string, error) {
			s.Set("user", "ann")
			return session.URL(s, "/home"), s.RegenerateID(c.ResponseWriter(), c.Request().Request)
		})
		var header []string
		if test.both {
			header = []string{"Cookie", "flamego_session=" + a.seed(t)}
		}
		rec := a.ask(dead, header...)
		assert.Contains(t, rec.Header().Get("Set-Cookie"), "flamego_session=", name)
		if test.both {
			assert.Equal(t, "/home", rec.Body.String(), name)
		}
	}
}

// seed stores a session through the Store, and returns its ID.
func (a *app) seed(t *testing.T) string {
	id := strings.Repeat("1", 32)
	s, err := a.m.Store().Read(t.Context(), id)
	require.NoError(t, err)
	s.Set("k", 1)
	require.NoError(t, a.m.Store().Save(t.Context(), s))
	return id
}

// TestSharedCachesGetNoID checks responses that send or remove an ID when the handler
// allows every cache to keep them.
func TestSharedCachesGetNoID(t *testing.T) {
	public := func(c flamego.Context) {
		h := c.ResponseWriter().Header()
		h.Set("Cache-Control", "public, max-age=600")
		h.Set("CDN-Cache-Control", "max-age=600")
		h.Set("Surrogate-Control", "max-age=600")
		h.Set("X-Accel-Expires", "600")
		h.Set("Edge-Control", "cache-maxage=10m")
	}
	for name, test := range map[string]struct {
		way  session.Transport
		send func(id string) []string
	}{
		"cookie": {session.CookieTransport(), func(id string) []string { return []string{"Cookie", "flamego_session=" + id} }},
		"header": {session.HeaderTransport("X-Session"), func(id string) []string { return []string{"X-Session", id} }},
		"bearer": {session.BearerTransport(), func(id string) []string { return []string{"Authorization", "Bearer " + id} }},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, func(o *session.Options) { o.Transport = test.way })
			routes := map[string]func(c flamego.Context, s session.Session){
				"/new": func(_ flamego.Context, s session.Session) { s.Set("k", 1) },
				"/id":  func(_ flamego.Context, s session.Session) { _ = s.ID() },
				"/commit": func(c flamego.Context, s session.Session) {
					s.Set("k", 1)
					_ = session.Commit(t.Context(), s)
					public(c)
				},
				"/rotate": func(c flamego.Context, s session.Session) {
					_ = s.RegenerateID(c.ResponseWriter(), c.Request().Request)
				},
				"/destroy": func(_ flamego.Context, s session.Session) { session.Destroy(s) },
			}
			for path, fn := range routes {
				a.Get(path, func(c flamego.Context, s session.Session) string { public(c); fn(c, s); return "page" })
			}
			a.Get("/read", func(c flamego.Context, s session.Session) string { public(c); return fmt.Sprint(s.Get("k")) })
			check := func(path string, header ...string) {
				h := a.ask(path, header...).Result().Header
				assert.Equal(t, []string{"no-store"}, h.Values("Cache-Control"), path)
				assert.Empty(t, h.Get("CDN-Cache-Control")+h.Get("Surrogate-Control")+h.Get("X-Accel-Expires")+h.Get("Edge-Control"), path)
			}
			for _, path := range []string{"/new", "/id", "/commit"} {
				check(path)
			}
			id := a.seed(t)
			h := a.ask("/read", test.send(id)...).Result().Header
			assert.Equal(t, "public, max-age=600", h.Get("Cache-Control"), "nothing is told")
			check("/rotate", test.send(id)...)
			a.b.clear()
			check("/destroy", test.send(a.seed(t))...)
		})
	}
	// nginx would hand the page with a refreshed cookie to everybody.
	now := time.Now()
	a := newApp(t, func(o *session.Options) {
		o.Cookie.MaxAge = 3600
		hook.SetClock(o, func() time.Time { return now })
	})
	a.Get("/", func(c flamego.Context, s session.Session) { s.Set("k", 1) })
	a.Get("/cached", func(c flamego.Context, s session.Session) string {
		c.ResponseWriter().Header().Set("X-Accel-Expires", "600")
		return fmt.Sprint(s.Get("k"))
	})
	_, id := a.get("/", "")
	now = now.Add(10 * time.Minute)
	rec, sent := a.get("/cached", id)
	assert.Equal(t, "1", rec.Body.String())
	assert.Empty(t, sent)
}

// TestManagersShareAStorage points two Managers at the same storage by accident. The ID
// of a visitor's own session must not open anything in the administrators' cookie.
func TestManagersShareAStorage(t *testing.T) {
	dir := t.TempDir()
	shared := newMapBackend()
	for name, storage := range map[string]func(*session.Options){
		"backend": func(o *session.Options) { o.Initer = initer(shared, session.StoreConfig{}) },
		"files": func(o *session.Options) {
			o.Initer, o.Config = session.FileIniter(), session.FileConfig{RootDir: filepath.Join(dir, "sessions")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			users, admins := manager(t, "user", storage), manager(t, "admin", storage)
			a := &app{Flame: silent(), m: users}
			a.Use(users.Sessioner())
			a.Get("/user", func(s session.Session) { s.Set("id", 1) })
			a.Group("/admin", func() {
				a.Get("/beside", func(s adminSession) string { return fmt.Sprint(s.Get("id")) })
				a.Get("/set", func(s adminSession) { s.Set("id", 2) })
			}, session.SessionerAs[adminSession, adminFlash](admins))
			alone := &app{Flame: silent(), m: admins}
			alone.Use(admins.Sessioner())
			alone.Get("/alone", func(s session.Session) string { return fmt.Sprint(s.Get("id")) })

			cookie := a.ask("/user").Result().Cookies()[0]
			stolen := []string{"Cookie", "admin=" + cookie.Value}
			assert.Equal(t, "<nil>", a.ask("/admin/beside", stolen...).Body.String())
			assert.Equal(t, "<nil>", alone.ask("/alone", stolen...).Body.String())
			cookie = a.ask("/admin/set").Result().Cookies()[0]
			assert.Equal(t, "2", alone.ask("/alone", "Cookie", "admin="+cookie.Value).Body.String())

			// A record of v1.6.6 does not say whose it is. A Manager by itself reads it.
			id := strings.Repeat("7", 16)
			require.NoError(t, admins.Store().Destroy(t.Context(), id))
			st, err := session.FileIniter()(t.Context(), session.FileConfig{RootDir: filepath.Join(dir, "sessions")})
			if name == "backend" {
				st, err = session.NewStore(shared, session.StoreConfig{}), nil
			}
			require.NoError(t, err)
			require.NoError(t, st.Save(t.Context(), session.NewBaseSessionWithData(id, nil, nil, session.Data{"id": 3})))
			assert.Equal(t, "3", alone.ask("/alone", "Cookie", "admin="+id).Body.String())
			assert.Equal(t, "<nil>", a.ask("/admin/beside", "Cookie", "admin="+id).Body.String())
		})
	}
}

// TestIDsOfOneManager shares a storage among Managers that carry IDs in different ways. What
// one has given out opens nothing in another: either the ID is not valid there, or the second
// Manager is refused.
func TestIDsOfOneManager(t *testing.T) {
	carried := func(name string) func(*http.Request) string {
		return func(r *http.Request) string { return r.Header.Get(name) }
	}
	written := "" // what a client would keep
	unsent := func(_ http.ResponseWriter, _ *http.Request, id string, _ bool) { written = id }
	type way struct {
		set  func(*session.Options)
		send func(id string) (path string, header []string)
	}
	inHeader := func(name string) func(string) (string, []string) {
		return func(id string) (string, []string) { return "/get", []string{name, id} }
	}
	inURL := func(name string) func(string) (string, []string) {
		return func(id string) (string, []string) { return "/get?" + name + "=" + id, nil }
	}
	inCookie := func(id string) (string, []string) { return "/get", []string{"Cookie", "flamego_session=" + id} }
	ways := map[string]way{
		"cookie":          {func(*session.Options) {}, inCookie},
		"header":          {func(o *session.Options) { o.Transport = session.HeaderTransport("X-Session") }, inHeader("X-Session")},
		"parameter":       {func(o *session.Options) { o.Transport = session.QueryTransport("sid") }, inURL("sid")},
		"other parameter": {func(o *session.Options) { o.Transport = session.QueryTransport("admin") }, inURL("admin")},
		"header, or parameter": {func(o *session.Options) {
			o.Transport = session.FirstOf(session.HeaderTransport("X-A"), session.QueryTransport("a"))
		}, inURL("a")},
		"function":       {func(o *session.Options) { o.ReadIDFunc, o.WriteIDFunc = carried("X-F"), unsent }, inHeader("X-F")},
		"other function": {func(o *session.Options) { o.ReadIDFunc, o.WriteIDFunc = carried("X-G"), unsent }, inHeader("X-G")},
		"named function": {func(o *session.Options) {
			o.ReadIDFunc, o.WriteIDFunc, o.Cookie.Name = carried("X-H"), unsent, "another"
		}, inHeader("X-H")},
		"header, written by a function": {func(o *session.Options) {
			o.Transport, o.WriteIDFunc = session.HeaderTransport("X-W"), unsent
		}, inHeader("X-W")},
	}
	dir, store := t.TempDir(), &plainStore{rows: make(map[string][]byte)}
	shared, one := newMapBackend(), session.NewStore(newMapBackend(), session.StoreConfig{})
	for name, storage := range map[string]func(*session.Options){
		"backend": func(o *session.Options) { o.Initer = initer(shared, session.StoreConfig{}) },
		"Store":   func(o *session.Options) { o.Initer = returns(one) },
		"files": func(o *session.Options) {
			o.Initer, o.Config = session.FileIniter(), &session.FileConfig{RootDir: filepath.Join(dir, "sessions")}
		},
		"SQLite": func(o *session.Options) {
			o.Initer, o.Config = sqlite.Initer(), sqlite.Config{DSN: filepath.Join(dir, "db"), InitTable: true}
		},
		"own Store": func(o *session.Options) { o.Initer = returns(store) },
		"kept by the clients": func(o *session.Options) {
			o.Initer, o.Config = cookie.Initer(), cookie.Config{Keys: [][]byte{cipherKey(9)}}
		},
	} {
		open := func(w way) (*app, error) {
			opt := session.Options{}
			storage(&opt)
			w.set(&opt)
			m, err := session.NewManager(opt)
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { _ = m.Close(context.Background()) })
			a := &app{Flame: silent(), m: m}
			a.Use(m.Sessioner())
			a.Get("/set", func(s session.Session) string { s.Set("id", 1); return s.ID() })
			a.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("id")) })
			return a, nil
		}
		for users, from := range ways {
			for admins, to := range ways {
				if users == admins {
					continue
				}
				a, err := open(from)
				if err != nil {
					assert.ErrorContains(t, err, "Transport") // Not in URLs if the client keeps it.
					continue
				}
				b, err := open(to)
				if err == nil {
					written = ""
					rec := a.ask("/set")
					id := cmp.Or(written, rec.Header().Get("X-Session"), rec.Body.String())
					if c := rec.Result().Cookies(); len(c) > 0 {
						id = c[0].Value
					}
					path, header := from.send(id)
					assert.Equal(t, "1", a.ask(path, header...).Body.String(), "%s, %s", name, users)
					path, header = to.send(id)
					assert.Equal(t, "<nil>", b.ask(path, header...).Body.String(), "%s, from %s to %s", name, users, admins)
					require.NoError(t, b.m.Close(t.Context()))
				}
				functions := []string{users, admins}
				slices.Sort(functions)
				if slices.Equal(functions, []string{"function", "other function"}) {
					assert.ErrorContains(t, err, "ReadIDFunc", name)
				}
				_ = a.m.Close(t.Context())
			}
		}
	}
	// The same functions again, as in an application's own tests.
	again := func(r *http.Request) string { return r.Header.Get("X-Again") }
	for range 2 {
		manager(t, "flamego_session", func(o *session.Options) { o.Initer, o.ReadIDFunc = initer(shared, session.StoreConfig{}), again })
	}
}

// returns is an Initer for a Store that is open.
func returns(s session.Store) session.Initer {
	return func(context.Context, ...interface{}) (session.Store, error) { return s, nil }
}

// TestManagersShareAStore gives two Managers one Store. Each keeps to its own options, and
// to its own sessions.
func TestManagersShareAStore(t *testing.T) {
	now := time.Now()
	shared := session.NewStore(newMapBackend(), session.StoreConfig{Lifetime: 24 * time.Hour})
	on := func(header string, absolute time.Duration) *app {
		return newUserApp(t, nil, func(o *session.Options) {
			o.Initer = func(context.Context, ...interface{}) (session.Store, error) { return shared, nil }
			o.Transport, o.AbsoluteLifetime = session.HeaderTransport(header), absolute
			hook.SetClock(o, func() time.Time { return now })
		})
	}
	users, admins := on("X-User", time.Hour), on("X-Admin", 0)
	user := users.ask("/in").Header().Get("X-User")
	admin := admins.ask("/in").Header().Get("X-Admin")
	require.NoError(t, admins.m.EndAll(t.Context(), "42"))
	assert.Equal(t, "<nil>", admins.ask("/who", "X-Admin", admin).Body.String())
	assert.Equal(t, "42", users.ask("/who", "X-User", user).Body.String())
	admin = admins.ask("/in").Header().Get("X-Admin")
	now = now.Add(time.Hour)
	assert.Equal(t, "<nil>", users.ask("/who", "X-User", user).Body.String())
	assert.Equal(t, "42", admins.ask("/who", "X-Admin", admin).Body.String())
}

// TestManagersShareAMemory gives two Managers with different cookies one memory store,
// whose records do not say where they belong.
func TestManagersShareAMemory(t *testing.T) {
	st, err := session.MemoryIniter()(t.Context())
	require.NoError(t, err)
	shared := func(o *session.Options) {
		o.Initer = func(context.Context, ...interface{}) (session.Store, error) { return st, nil }
	}
	manager(t, "user", shared)
	manager(t, "user", shared)
	opt := session.Options{Cookie: session.CookieOptions{Name: "admin"}}
	shared(&opt)
	_, err = session.NewManager(opt)
	require.ErrorContains(t, err, "Options.Initer")
	assert.ErrorContains(t, err, "cookie admin")
}

// TestOtherCookiesStay sets cookies of the session's name that are others all the same: for
// another path or domain, as when an old one is removed.
func TestOtherCookiesStay(t *testing.T) {
	a := newUserApp(t, nil)
	old := []*http.Cookie{{Name: "flamego_session", Path: "/old", MaxAge: -1}, {Name: "flamego_session", Path: "/", Domain: "example.com", MaxAge: -1}, {Name: "other", Path: "/"}}
	for path, fn := range map[string]func(flamego.Context, session.Session){
		"/a": func(_ flamego.Context, s session.Session) { s.Set("user", "42") },
		"/b": func(_ flamego.Context, s session.Session) { session.Destroy(s) },
		"/c": func(c flamego.Context, s session.Session) { _ = s.RegenerateID(c.ResponseWriter(), nil) },
	} {
		a.Get(path, func(c flamego.Context, s session.Session) {
			for _, cookie := range old {
				c.SetCookie(*cookie)
			}
			c.SetCookie(http.Cookie{Name: "flamego_session", Value: "stale", Path: "/"})
			fn(c, s)
		})
	}
	_, id := a.get("/set", "")
	for _, path := range []string{"/a", "/c", "/b"} {
		header := []string{"Cookie", "flamego_session=" + id}
		if path == "/a" {
			header = nil
		}
		lines := a.ask(path, header...).Header().Values("Set-Cookie")
		if !assert.Len(t, lines, 4, path) {
			continue
		}
		for i, cookie := range old {
			assert.Equal(t, cookie.String(), lines[i], path)
		}
		assert.NotContains(t, lines[3], "stale", path)
		if c, err := http.ParseSetCookie(lines[3]); assert.NoError(t, err) && c.Value != "" {
			id = c.Value
		}
	}
}

// TestFlashInCaches shows flashes to a browser that keeps pages, and asks whether they have
// changed: each is seen once.
func TestFlashInCaches(t *testing.T) {
	a := newApp(t)
	a.Get("/add", func(s session.Session) { s.SetFlash("Saved.") })
	a.Get("/page", func(c flamego.Context, flash session.Flash) string {
		h := c.ResponseWriter().Header()
		h.Set("ETag", `"1"`)
		h.Set("Cache-Control", "public, max-age=60")
		h.Set("CDN-Cache-Control", "max-age=60")
		if c.Request().Header.Get("If-None-Match") != "" || c.Request().Header.Get("If-Modified-Since") != "" {
			c.ResponseWriter().WriteHeader(http.StatusNotModified)
			return ""
		}
		return fmt.Sprint(flash)
	})
	_, id := a.get("/add", "")
	rec := a.ask("/page", "Cookie", "flamego_session="+id, "If-None-Match", `"1"`, "If-Modified-Since", "Mon, 02 Jan 2026 15:04:05 GMT")
	assert.Equal(t, "Saved.", rec.Body.String())
	assert.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
	assert.Empty(t, rec.Header().Get("CDN-Cache-Control"))
	rec = a.ask("/page", "Cookie", "flamego_session="+id, "If-None-Match", `"1"`)
	assert.Equal(t, http.StatusNotModified, rec.Code, "no flash")
	assert.Equal(t, "public, max-age=60", rec.Header().Get("Cache-Control"))
}
