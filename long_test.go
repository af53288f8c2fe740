package session_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

// TestLongRequest has a request that takes longer than the lifetime of its
// session, which others keep alive meanwhile (G4).
func TestLongRequest(t *testing.T) {
	var at atomic.Int64
	now := func() time.Time { return time.Unix(1e9+at.Load(), 0) }
	a := newApp(t, func(o *session.Options) { hook.SetClock(o, now) })
	a.Get("/new", func(s session.Session) { s.Set("k", 1) })
	a.Get("/read", func(s session.Session) string { return fmt.Sprint(s.Get("k"), s.Get("late")) })
	a.Get("/long", func(s session.Session) {
		for range 4 {
			at.Add(1800)
			rec, _ := a.get("/read", s.ID())
			require.Equal(t, "1 <nil>", rec.Body.String())
		}
		s.Set("late", 2)
	})
	_, id := a.get("/new", "")
	rec, _ := a.get("/long", id)
	assert.Equal(t, http.StatusOK, rec.Code)
	rec, _ = a.get("/read", id)
	assert.Equal(t, "1 2", rec.Body.String(), "the change of the long request")
}
