package session_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// transportApp has the same routes for every transport.
func transportApp(t *testing.T, way session.Transport, change ...func(*session.Options)) *app {
	a := newApp(t, append(change, func(o *session.Options) { o.Transport = way })...)
	a.Get("/plain", func() string { return "plain" })
	a.Get("/set", func(s session.Session) string { s.Set("k", "v"); return s.ID() })
	a.Get("/read", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	a.Get("/rotate", func(c flamego.Context, s session.Session) error {
		return s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	})
	a.Get("/destroy", func(s session.Session) { session.Destroy(s) })
	a.Get("/link", func(c flamego.Context, s session.Session) string {
		c.ResponseWriter().Header().Set("Cache-Control", "public")
		return session.URL(s, "/cart?x=1")
	})
	return a
}

func silent() *flamego.Flame { return flamego.NewWithLogger(io.Discard) }

func (a *app) ask(path string, header ...string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	a.ServeHTTP(rec, req)
	return rec
}

func TestTransportHeader(t *testing.T) {
	for _, test := range []struct {
		way          session.Transport
		name, prefix string
	}{
		{session.HeaderTransport("x-session"), "X-Session", ""},
		{session.BearerTransport(), "Authorization", "Bearer "},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := transportApp(t, test.way)
			rec := a.ask("/set")
			id := rec.Body.String()
			assert.Equal(t, test.prefix+id, rec.Header().Get(test.name))
			assert.Empty(t, rec.Header().Get("Set-Cookie"))
			assert.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
			assert.Equal(t, test.name, rec.Header().Get("Vary"))

			rec = a.ask("/read", test.name, test.prefix+id)
			assert.Equal(t, "v", rec.Body.String())
			assert.Empty(t, rec.Header().Get(test.name), "the client knows it already")
			rec = a.ask("/rotate", test.name, test.prefix+id)
			next := strings.TrimPrefix(rec.Header().Get(test.name), test.prefix)
			assert.NotEqual(t, id, next)
			assert.Equal(t, "v", a.ask("/read", test.name, test.prefix+next).Body.String())
			assert.Equal(t, "<nil>", a.ask("/read", test.name, test.prefix+id).Body.String())

			for _, other := range [][]string{
				{"Cookie", "flamego_session=" + next}, {"X-Other", next}, {test.name, test.prefix + next + "x"},
				{test.name, "Basic " + next}, {test.name, test.prefix + next, test.name, test.prefix + next}, {test.name, ""},
			} {
				assert.Equal(t, "<nil>", a.ask("/read", other...).Body.String(), other[0])
			}
			assert.Equal(t, "<nil>", a.ask("/read?X-Session="+next).Body.String())

			rec = a.ask("/destroy", test.name, test.prefix+next)
			assert.Equal(t, []string{""}, rec.Header()[test.name], "the client is told that it ended")
			assert.Equal(t, "<nil>", a.ask("/read", test.name, test.prefix+next).Body.String())
		})
	}
	a := transportApp(t, session.BearerTransport())
	id := a.ask("/set").Body.String()
	assert.Equal(t, "v", a.ask("/read", "Authorization", "bearer   "+id).Body.String(), "schemes know no case (RFC 9110, section 11.1)")
}

// TestTransportCookie presents a live ID where the default does not look.
func TestTransportCookie(t *testing.T) {
	a := transportApp(t, session.CookieTransport())
	id := a.ask("/set").Body.String()
	assert.Equal(t, "v", a.ask("/read", "Cookie", "flamego_session="+id).Body.String())
	for _, header := range [][]string{
		{"Authorization", "Bearer " + id}, {"X-Session", id}, {"Flamego_session", id},
		{"Cookie", "Flamego_Session=" + id}, {"Cookie", "__Host-flamego_session=" + id}, {"Cookie2", "flamego_session=" + id},
	} {
		assert.Equal(t, "<nil>", a.ask("/read", header...).Body.String(), header)
	}
	assert.Equal(t, "<nil>", a.ask("/read?flamego_session="+id+"&sid="+id).Body.String())
}

func TestTransportQuery(t *testing.T) {
	a := transportApp(t, session.QueryTransport("sid"))
	assert.Equal(t, "/cart?x=1", a.ask("/link").Body.String(), "no session, no ID")
	rec := a.ask("/set")
	id := rec.Body.String()
	assert.Empty(t, rec.Header().Get("Set-Cookie"))
	assert.Equal(t, "no-referrer", rec.Header().Get("Referrer-Policy"))

	for _, path := range []string{"/plain", "/read", "/link", "/destroy"} {
		rec := a.ask(path + "?y=1&sid=" + id)
		assert.Equal(t, "no-referrer", rec.Header().Get("Referrer-Policy"), path)
		assert.Equal(t, "no-store", rec.Header().Get("Cache-Control"), path)
		if path == "/link" {
			assert.Equal(t, "/cart?x=1&sid="+id, rec.Body.String())
		}
	}
	assert.Equal(t, "<nil>", a.ask("/read?sid="+id).Body.String(), "destroyed")

	id = a.ask("/set").Body.String()
	for _, bad := range []string{"?sid=" + id + "&sid=" + id, "?SID=" + id, "?sid=" + id + "%00", "?sid=%zz", "?sid=../" + id} {
		assert.Equal(t, "<nil>", a.ask("/read"+bad).Body.String(), bad)
	}
	assert.Equal(t, "<nil>", a.ask("/read", "Cookie", "flamego_session="+id).Body.String())
	assert.Equal(t, "v", a.ask("/read?sid="+id).Body.String())
}

func TestTransportFirstOf(t *testing.T) {
	a := transportApp(t, session.FirstOf(session.CookieTransport(), session.BearerTransport(), session.QueryTransport("sid")))
	rec := a.ask("/set")
	id := rec.Body.String()
	assert.Contains(t, rec.Header().Get("Set-Cookie"), id)
	assert.Empty(t, rec.Header().Get("Authorization"), "scripts could read it")
	assert.Equal(t, []string{"Cookie", "Authorization"}, rec.Header().Values("Vary"))

	cookie := []string{"Cookie", "flamego_session=" + id}
	assert.Equal(t, "v", a.ask("/read", cookie...).Body.String())
	assert.Equal(t, "v", a.ask("/read", "Authorization", "Bearer "+id).Body.String())
	assert.Equal(t, "v", a.ask("/read?sid="+id).Body.String())
	assert.Equal(t, "/cart?x=1", a.ask("/link?sid="+id, cookie...).Body.String(), "who sends cookies gets clean URLs")
	assert.Equal(t, "/cart?x=1&sid="+id, a.ask("/link?sid="+id).Body.String())

	// IDs in URLs are kept to the page, whichever way counts, and also if the page is
	// on its way when they are made.
	a.Get("/stream", func(w http.ResponseWriter, s session.Session) {
		w.Header().Set("Cache-Control", "public")
		s.Set("k", "v")
		_, _ = fmt.Fprint(w, "first ")
		_, _ = fmt.Fprint(w, session.URL(s, "/"))
	})
	for _, rec := range []*httptest.ResponseRecorder{a.ask("/stream"), a.ask("/plain?sid="+id, cookie...)} {
		assert.Equal(t, "no-referrer", rec.Result().Header.Get("Referrer-Policy"), rec.Body)
		assert.Equal(t, "no-store", rec.Result().Header.Get("Cache-Control"), rec.Body)
	}
	assert.Empty(t, a.ask("/read", cookie...).Header().Get("Referrer-Policy"))
	assert.Empty(t, a.ask("/plain").Header().Get("Referrer-Policy"))

	// It goes on where it came from.
	rec = a.ask("/rotate", "Authorization", "Bearer "+id)
	assert.NotEmpty(t, rec.Header().Get("Authorization"))
	assert.Empty(t, rec.Header().Get("Set-Cookie"))

	// The first live one counts.
	other := a.ask("/set").Body.String()
	assert.Equal(t, "v", a.ask("/read", "Cookie", "flamego_session="+id, "Authorization", "Bearer "+other).Body.String())
	assert.Equal(t, "v", a.ask("/read", "Cookie", "flamego_session=?", "Authorization", "Bearer "+other).Body.String())
}

func TestTransportFuncsWin(t *testing.T) {
	a := transportApp(t, session.HeaderTransport("X-Session"), func(o *session.Options) {
		o.ReadIDFunc = func(r *http.Request) string { return r.Header.Get("X-Mine") }
		o.WriteIDFunc = func(w http.ResponseWriter, _ *http.Request, id string, created bool) {
			w.Header().Set("X-Mine", fmt.Sprint(id, " ", created))
		}
	})
	rec := a.ask("/set")
	id := rec.Body.String()
	assert.Equal(t, id+" true", rec.Header().Get("X-Mine"))
	assert.Empty(t, rec.Header().Get("X-Session"))
	assert.Equal(t, "<nil>", a.ask("/read", "X-Session", id).Body.String())
	rec = a.ask("/read", "X-Mine", id)
	assert.Equal(t, "v", rec.Body.String())
	assert.Equal(t, id+" false", rec.Header().Get("X-Mine"))

	// One alone leaves the other to the transport.
	a = transportApp(t, session.HeaderTransport("X-Session"), func(o *session.Options) {
		o.ReadIDFunc = func(r *http.Request) string { return r.Header.Get("X-Mine") }
	})
	id = a.ask("/set").Header().Get("X-Session")
	assert.Equal(t, "v", a.ask("/read", "X-Mine", id).Body.String())
}

func TestTransportErrors(t *testing.T) {
	for _, test := range []struct {
		way  session.Transport
		want string
	}{
		{session.HeaderTransport(""), "not a token"},
		{session.HeaderTransport("X Session"), "not a token"},
		{session.HeaderTransport("X-Sitzung\u00e4"), "not a token"},
		{session.HeaderTransport("X-Session:"), "use letters, digits and hyphens"},
		{session.HeaderTransport("X_Session"), "use letters, digits and hyphens"},
		{session.HeaderTransport("X.Session"), "use letters, digits and hyphens"},
		{session.FirstOf(session.CookieTransport(), session.HeaderTransport("X_Session")), "underscore"},
		{session.HeaderTransport("cookie"), "use session.CookieTransport"},
		{session.HeaderTransport("Set-Cookie"), "use session.CookieTransport"},
		{session.HeaderTransport("authorization"), "use session.BearerTransport"},
		{session.HeaderTransport("content-length"), "a meaning of its own"},
		{session.QueryTransport(""), "query parameter"},
		{session.QueryTransport("a&b"), "use letters"},
		{session.QueryTransport("a=b"), "use letters"},
		{session.FirstOf(), "needs at least one transport"},
		{session.FirstOf(session.FirstOf(session.CookieTransport())), "list all transports in one"},
		{session.FirstOf(session.HeaderTransport("a"), session.HeaderTransport("A")), "twice"},
		{session.FirstOf(session.CookieTransport(), session.CookieTransport()), "twice"},
		{session.FirstOf(session.CookieTransport(), session.HeaderTransport("a b")), "not a token"},
	} {
		_, err := session.NewManager(session.Options{Transport: test.way})
		require.Error(t, err)
		assert.Contains(t, err.Error(), "session: Transport: ")
		assert.Contains(t, err.Error(), test.want)
	}
}

// TestURLsWithIDs has an ID in the URL that nobody accepts, or that is not found at once.
// Whoever sees the URL could still use it.
func TestURLsWithIDs(t *testing.T) {
	for name, way := range map[string]session.Transport{
		"query": session.QueryTransport("sid"), "cookie or query": session.FirstOf(session.CookieTransport(), session.QueryTransport("sid")),
	} {
		a := transportApp(t, way)
		a.Get("/public", func(c flamego.Context) string {
			for _, name := range []string{"Cache-Control", "CDN-Cache-Control", "Surrogate-Control", "Edge-Control"} {
				c.ResponseWriter().Header().Set(name, "public, max-age=600")
			}
			c.ResponseWriter().Header().Set("X-Accel-Expires", "600")
			return "page"
		})
		a.Get("/fails", func(s session.Session) { s.Set("k", make(chan int)) })
		id := a.ask("/set").Body.String()
		private := func(rec *httptest.ResponseRecorder, what string) {
			t.Helper()
			h := rec.Result().Header
			assert.Equal(t, "no-referrer", h.Get("Referrer-Policy"), "%s: %.80s", name, what)
			assert.Equal(t, "no-store", h.Get("Cache-Control"), "%s: %.80s", name, what)
			assert.Empty(t, h.Get("CDN-Cache-Control")+h.Get("Surrogate-Control")+h.Get("X-Accel-Expires")+h.Get("Edge-Control"), "%s: %.80s", name, what)
		}
		for _, query := range []string{
			"sid=" + id, "sid=" + id + "&sid=" + id, "sid=" + id + "&sid=", "x=1;sid=" + id, "sid=" + id + ";x=1", "sid=" + id + "&x=%zz", "x=%&sid=" + id,
			"%73id=" + id, "%73%69%64=" + id, "s%69d=" + id + "&x=%", strings.Repeat("x=1&", 20000) + "sid=" + id,
		} {
			rec := a.ask("/public?" + query)
			assert.Equal(t, "page", rec.Body.String())
			private(rec, query)
			rec = a.ask("/fails?" + query)
			assert.Equal(t, http.StatusInternalServerError, rec.Code)
			private(rec, query)
			a.b.failReads.Store(true)
			if rec = a.ask("/public?" + query); rec.Code != http.StatusOK { // Only if the ID is looked up.
				assert.Equal(t, http.StatusInternalServerError, rec.Code)
			}
			private(rec, query)
			a.b.failReads.Store(false)
		}
		for _, query := range []string{"", "?x=1", "?x=%73", "?side=%"} {
			if !strings.Contains(query, "sid") {
				assert.Equal(t, "public, max-age=600", a.ask("/public"+query).Header().Get("Cache-Control"), query)
			}
		}
	}
}

// TestLinkToSignIn follows a link with the ID of somebody else's session, and signs in. Where
// cookies are kept, the sign-in does not stay in URLs.
func TestLinkToSignIn(t *testing.T) {
	cookie, query := session.CookieTransport(), session.QueryTransport("sid")
	for name, way := range map[string]session.Transport{"cookie first": session.FirstOf(cookie, query), "query first": session.FirstOf(query, cookie)} {
		for _, path := range []string{"/signin", "/rotate"} {
			a := transportApp(t, way)
			a.Get("/signin", func(s session.Session) error { return session.SetOwner(s, "ann") })
			planted := a.ask("/set").Body.String()
			assert.Empty(t, a.ask("/set?sid="+planted).Result().Cookies(), name)
			cookies := a.ask(path + "?sid=" + planted).Result().Cookies()
			if assert.Len(t, cookies, 1, "%s: %s", name, path) {
				assert.NotEqual(t, planted, cookies[0].Value)
				assert.Equal(t, "v", a.ask("/read", "Cookie", "flamego_session="+cookies[0].Value).Body.String())
			}
			assert.Equal(t, "<nil>", a.ask("/read?sid="+planted).Body.String())
		}
	}
}
