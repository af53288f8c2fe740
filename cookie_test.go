package session

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/carry"
)

// TestCookieLine checks every attribute, over plain connections and over TLS, and that
// the line that removes the cookie has the same attributes.
func TestCookieLine(t *testing.T) {
	tests := []struct {
		name string
		opt  CookieOptions
		tls  bool
		set  string
		gone string
	}{
		{
			"defaults", CookieOptions{}, false,
			"flamego_session=ID; Path=/; HttpOnly; SameSite=Lax",
			"flamego_session=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; SameSite=Lax",
		},
		{
			"Secure over TLS", CookieOptions{}, true,
			"flamego_session=ID; Path=/; HttpOnly; Secure; SameSite=Lax",
			"flamego_session=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"HttpOnly whatever else is set", CookieOptions{Name: "s", Path: "/a", Domain: "example.com", MaxAge: 60, SameSite: http.SameSiteStrictMode}, false,
			"s=ID; Path=/a; Domain=example.com; Max-Age=60; HttpOnly; SameSite=Strict",
			"s=; Path=/a; Domain=example.com; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; SameSite=Strict",
		},
		{
			"scripts let in", CookieOptions{AllowScriptAccess: true, SameSite: http.SameSiteDefaultMode}, false,
			"flamego_session=ID; Path=/",
			"flamego_session=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0",
		},
		{
			"embedded", CookieOptions{Name: "__Host-s", Secure: true, SameSite: http.SameSiteNoneMode, Partitioned: true}, false,
			"__Host-s=ID; Path=/; HttpOnly; Secure; SameSite=None; Partitioned",
			"__Host-s=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; Secure; SameSite=None; Partitioned",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			opt, err := test.opt.withDefaults()
			require.NoError(t, err)
			c := carry.Cookie(opt.cookie())
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			if test.tls {
				r.TLS = &tls.ConnectionState{}
			}
			w := httptest.NewRecorder()
			c.Write(w, r, "ID", 0)
			assert.Equal(t, []string{test.set}, w.Header()["Set-Cookie"])
			c.Remove(w, r)
			assert.Equal(t, []string{test.gone}, w.Header()["Set-Cookie"], "the removal replaces the cookie")
		})
	}
}

func TestOtherHeadersStay(t *testing.T) {
	opt, err := CookieOptions{Name: "s"}.withDefaults()
	require.NoError(t, err)
	c := carry.Cookie(opt.cookie())
	w := httptest.NewRecorder()
	w.Header()["Set-Cookie"] = []string{"other=1", "s=old; Path=/", "ss=2"}
	w.Header().Set("Cache-Control", "private, max-age=5")
	c.Write(w, httptest.NewRequest(http.MethodGet, "/", nil), "ID", 0)
	assert.Equal(t, []string{"other=1", "ss=2", "s=ID; Path=/; HttpOnly; SameSite=Lax"}, w.Header()["Set-Cookie"])
	assert.Equal(t, "private, max-age=5", w.Header().Get("Cache-Control"), "the handler's own word stands")
}
