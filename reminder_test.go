package session_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

// TestReminderOfLostSession has a session move while a request works on it whose
// response was to refresh the cookie: that must not take the new one's place.
func TestReminderOfLostSession(t *testing.T) {
	var at atomic.Int64
	now := func() time.Time { return time.Unix(1e9+at.Load(), 0) }
	a := newApp(t, func(o *session.Options) { o.Cookie.MaxAge = 3600; hook.SetClock(o, now) })
	a.Get("/new", func(s session.Session) { s.Set("k", 1) })
	a.Get("/rotate", func(c flamego.Context, s session.Session) error {
		return s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	})
	a.Get("/slow", func(s session.Session) {
		_, moved := a.get("/rotate", s.ID())
		require.NotEmpty(t, moved)
		s.Set("k", 2)
	})
	_, id := a.get("/new", "")
	at.Add(600)
	rec, told := a.get("/slow", id)
	assert.Equal(t, http.StatusOK, rec.Code)
	assert.Empty(t, told, "the cookie of an ID that is dead")
}
