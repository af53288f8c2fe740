package session_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"

	"github.com/flamego/session"
)

// TestFailureAfterCommit rotates, commits, and cannot store what comes after it:
// the old ID is dead by then, so the failure has to tell the new one (G7).
func TestFailureAfterCommit(t *testing.T) {
	for _, write := range []bool{false, true} {
		t.Run(fmt.Sprintf("write=%t", write), func(t *testing.T) {
			a := newApp(t)
			a.Get("/new", func(s session.Session) { s.Set("k", 1) })
			a.Get("/read", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
			a.Get("/rotate", func(c flamego.Context, s session.Session) {
				assert.NoError(t, s.RegenerateID(c.ResponseWriter(), c.Request().Request))
				assert.NoError(t, session.Commit(c.Request().Context(), s))
				s.Set("k", 2)
				a.b.fail.Store(true)
				c.ResponseWriter().Header().Set("Location", "/secret")
				if write {
					_, _ = c.ResponseWriter().Write([]byte("secret"))
				}
			})
			_, id := a.get("/new", "")
			rec, moved := a.get("/rotate", id)
			a.b.fail.Store(false)
			assert.Equal(t, http.StatusInternalServerError, rec.Code)
			assert.NotContains(t, rec.Header(), "Location")
			assert.NotContains(t, rec.Body.String(), "secret")
			assert.NotEmpty(t, moved, "the cookie of the ID that the session has moved to")
			rec, _ = a.get("/read", moved)
			assert.Equal(t, "1", rec.Body.String())
		})
	}
}
