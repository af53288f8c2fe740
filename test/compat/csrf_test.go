package compat

import (
	"io"
	"net/http"
	"testing"

	"github.com/flamego/csrf"
	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// forms is an application with forms that flamego/csrf guards.
func forms(m *session.Manager) *flamego.Flame {
	f := flamego.NewWithLogger(io.Discard)
	f.Use(m.Sessioner())
	f.Use(csrf.Csrfer())
	f.Get("/form", func(x csrf.CSRF) string { return x.Token() })
	f.Post("/form", csrf.Validate, func() string { return "accepted" })
	f.Post("/rotate", csrf.Validate, func(c flamego.Context, s session.Session) (string, error) {
		return "rotated", s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	})
	f.Post("/signin", csrf.Validate, func(c flamego.Context, s session.Session) (string, error) {
		s.Set("userID", "ann") // What the token is bound to.
		return "signed in", s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	})
	return f
}

func TestCSRF(t *testing.T) {
	eachStore(t, func(t *testing.T, opt session.Options) {
		m := manager(t, opt)
		b := newTester(t, forms(m))

		// The first GET makes a token, and with it the session.
		first := b.get("/form")
		token := first.body
		require.Equal(t, http.StatusOK, first.status)
		require.NotEmpty(t, token)
		require.NotNil(t, first.cookie, "the token is lost without a session")

		again := b.get("/form")
		assert.Equal(t, token, again.body, "the token must stay for forms that are open")
		assert.Nil(t, again.cookie, "nothing to tell the client")

		assert.Equal(t, page{status: http.StatusOK, body: "accepted"}, b.post("/form", token))
		assert.Equal(t, http.StatusBadRequest, b.post("/form", "").status)
		assert.Equal(t, http.StatusBadRequest, b.post("/form", token+"0").status)
		assert.Equal(t, http.StatusBadRequest, newTester(t, forms(m)).post("/form", token).status,
			"another application has another secret")

		// The token moves along with the session.
		require.Equal(t, "rotated", b.post("/rotate", token).body)
		assert.Equal(t, token, b.get("/form").body)
		assert.Equal(t, "accepted", b.post("/form", token).body)

		// Another user, another token.
		require.Equal(t, "signed in", b.post("/signin", token).body)
		assert.Equal(t, http.StatusBadRequest, b.post("/form", token).status)
		of := b.get("/form").body
		assert.NotEqual(t, token, of)
		assert.Equal(t, "accepted", b.post("/form", of).body)

		// The token in the header, as scripts send it.
		req := b.Request(http.MethodPost, "/form", nil)
		req.Header.Set("X-CSRF-Token", of)
		assert.Equal(t, "accepted", b.do(req).body)
	})
}

// A first visit by POST has no token to check, and leaves no session behind.
func TestCSRFWithoutSession(t *testing.T) {
	eachStore(t, func(t *testing.T, opt session.Options) {
		m := manager(t, opt)
		b := newTester(t, forms(m))
		req := b.Request(http.MethodPost, "/form", nil)
		got := b.do(req)
		assert.Equal(t, http.StatusBadRequest, got.status)
		assert.Nil(t, got.cookie)
	})
}
