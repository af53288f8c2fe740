package session_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// TestRegenerateDuringCommit calls RegenerateID in another goroutine while the session
// is being stored. During a Commit that is in time; while the response starts it is too
// late, and the client must not be left with a dead ID (G7).
func TestRegenerateDuringCommit(t *testing.T) {
	a := newApp(t)
	var wanted string
	a.Get("/{how}", func(c flamego.Context, s session.Session) string {
		s.Set("k", c.Query("v"))
		a.b.before("Create Replace", func() {
			err := s.RegenerateID(c.ResponseWriter(), c.Request().Request)
			if c.Param("how") == "commit" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, "call it before writing")
			}
			wanted = s.ID()
		})
		if c.Param("how") == "commit" {
			assert.NoError(t, session.Commit(t.Context(), s))
			assert.Equal(t, wanted, s.ID(), "the ID is final once asked for")
		}
		return fmt.Sprint(s.Get("k"))
	})
	a.Get("/read/it", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })

	for _, how := range []string{"commit", "hook"} {
		old := ""
		for _, v := range []string{"1", "2"} { // A new session, and one that there is.
			rec, id := a.get("/"+how+"?v="+v, old)
			require.Equal(t, http.StatusOK, rec.Code)
			if id == "" {
				id = old
			}
			assert.Equal(t, wanted, id, v)
			assert.NoError(t, a.errs.last())
			rec, _ = a.get("/read/it", id)
			assert.Equal(t, v, rec.Body.String(), "%s %s", how, v)
			old = id
			a.b.mu.Lock()
			assert.Contains(t, a.b.records, id)
			a.b.mu.Unlock()
		}
	}
	forwards := 0
	for _, r := range a.b.records {
		if strings.Contains(string(r.Data), "flamego::session::forward") {
			forwards++
		}
	}
	assert.Len(t, a.b.records, 2+forwards, "nothing is left behind")
}

// TestRegenerateAfterALostAnswer loses the answer to a move: the session is found under
// the new ID (G7).
func TestRegenerateAfterALostAnswer(t *testing.T) {
	a := newApp(t)
	a.Get("/new", func(s session.Session) { s.Set("k", 1) })
	a.Get("/read", func(s session.Session) string { return fmt.Sprint(s.Get("k"), s.Get("user")) })
	a.Get("/sign-in", func(c flamego.Context, s session.Session) {
		require.NoError(t, s.RegenerateID(c.ResponseWriter(), c.Request().Request))
		s.Set("user", 7)
		lost := false
		a.b.next("Move", func(_ context.Context, do func() error) error {
			lost = true
			require.NoError(t, do())
			return errDown
		})
		require.NoError(t, session.Commit(t.Context(), s))
		assert.True(t, lost)
	})
	_, old := a.get("/new", "")
	rec, id := a.get("/sign-in", old)
	assert.Equal(t, http.StatusOK, rec.Code)
	require.NotEmpty(t, id)
	rec, _ = a.get("/read", id)
	assert.Equal(t, "1 7", rec.Body.String())
	assert.Len(t, a.b.records, 2, "the session, and the forward that the rotation has left")
}

// TestForwardIsLost leaves a forward that nobody can decode. It fails no request (G13).
func TestForwardIsLost(t *testing.T) {
	a := newUserApp(t, nil)
	_, id := a.get("/set", "")
	_, moved := a.get("/rotate", id)
	lost := 0
	for key, r := range a.b.records {
		if key != moved {
			a.b.records[key] = session.Record{Data: []byte("garbage"), Expiry: r.Expiry}
			lost++
		}
	}
	require.Equal(t, 1, lost)
	for _, path := range []string{"/set", "/out"} {
		rec, _ := a.get(path, id)
		assert.Equal(t, http.StatusOK, rec.Code, path)
	}
	a.Get("/end", func(s session.Session, m *session.Manager) error { return m.Store().Destroy(t.Context(), id) })
	rec, _ := a.get("/end", moved)
	assert.Equal(t, http.StatusOK, rec.Code)
}

// TestRegenerateWhileTheResponseStarts calls RegenerateID in another goroutine at the
// moment when a response without changes starts. Either it succeeds, and the client gets
// the new ID, or it is too late, and the client keeps the old one (G7). The race detector
// slows both down enough to meet that moment.
func TestRegenerateWhileTheResponseStarts(t *testing.T) {
	a := newApp(t)
	a.Get("/new", func(s session.Session) { s.Set("k", 1) })
	a.Get("/read", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	var pause int
	result := make(chan error)
	a.Get("/race", func(c flamego.Context, s session.Session) {
		w, r := c.ResponseWriter(), c.Request().Request
		start := make(chan struct{})
		go func() {
			<-start
			result <- s.RegenerateID(w, r)
		}()
		close(start)
		for range pause {
			runtime.Gosched()
		}
	})
	_, id := a.get("/new", "")
	inTime := 0
	for i := range 20000 {
		pause = i % 4
		done := make(chan error, 1)
		go func() { done <- <-result }()
		_, next := a.get("/race", id)
		if err := <-done; err != nil {
			require.ErrorContains(t, err, "call it before writing")
			require.Empty(t, next)
			continue
		}
		require.NotEmpty(t, next, "RegenerateID succeeded, and the client has the old ID")
		require.NotEqual(t, id, next)
		id = next
		inTime++
	}
	rec, _ := a.get("/read", id)
	assert.Equal(t, "1", rec.Body.String())
	assert.NotZero(t, inTime)
	assert.Less(t, inTime, 20000)
}
