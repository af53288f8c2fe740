package session_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// meanwhileBackend calls a function in the middle of its next write.
type meanwhileBackend struct {
	*mapBackend
	meanwhile func()
}

func (b *meanwhileBackend) call() {
	if fn := b.meanwhile; fn != nil {
		b.meanwhile = nil
		fn()
	}
}

func (b *meanwhileBackend) Create(ctx context.Context, id string, r session.Record) error {
	b.call()
	return b.mapBackend.Create(ctx, id, r)
}

func (b *meanwhileBackend) Replace(ctx context.Context, id string, old, r session.Record) error {
	b.call()
	return b.mapBackend.Replace(ctx, id, old, r)
}

// TestRegenerateDuringCommit calls RegenerateID in another goroutine while the session
// is being stored. During a Commit that is in time; while the response starts it is too
// late, and the client must not be left with a dead ID (G7).
func TestRegenerateDuringCommit(t *testing.T) {
	b := &meanwhileBackend{mapBackend: newMapBackend()}
	a := newApp(t, func(o *session.Options) { o.Initer = initer(b, session.StoreConfig{}) })
	var wanted string
	a.Get("/{how}", func(c flamego.Context, s session.Session) string {
		s.Set("k", c.Query("v"))
		b.meanwhile = func() {
			err := s.RegenerateID(c.ResponseWriter(), c.Request().Request)
			if c.Param("how") == "commit" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, "call it before writing")
			}
			wanted = s.ID()
		}
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
			b.mu.Lock()
			assert.Contains(t, b.records, id)
			b.mu.Unlock()
		}
	}
	forwards := 0
	for _, r := range b.records {
		if strings.Contains(string(r.Data), "flamego::session::forward") {
			forwards++
		}
	}
	assert.Len(t, b.records, 2+forwards, "nothing is left behind")
}

// lossyBackend does a Move and then returns an error, as when a connection breaks
// before the answer.
type lossyBackend struct {
	*mapBackend
	lose bool
}

func (b *lossyBackend) Move(ctx context.Context, id, newID string, old, r session.Record) error {
	err := b.mapBackend.Move(ctx, id, newID, old, r)
	if b.lose {
		b.lose = false
		return errDown
	}
	return err
}

// TestRegenerateAfterALostAnswer loses the answer to a move: the session is found under
// the new ID (G7).
func TestRegenerateAfterALostAnswer(t *testing.T) {
	b := &lossyBackend{mapBackend: newMapBackend()}
	a := newApp(t, func(o *session.Options) { o.Initer = initer(b, session.StoreConfig{}) })
	a.Get("/new", func(s session.Session) { s.Set("k", 1) })
	a.Get("/read", func(s session.Session) string { return fmt.Sprint(s.Get("k"), s.Get("user")) })
	a.Get("/sign-in", func(c flamego.Context, s session.Session) {
		require.NoError(t, s.RegenerateID(c.ResponseWriter(), c.Request().Request))
		s.Set("user", 7)
		b.lose = true
		require.NoError(t, session.Commit(t.Context(), s))
	})
	_, old := a.get("/new", "")
	rec, id := a.get("/sign-in", old)
	assert.Equal(t, http.StatusOK, rec.Code)
	require.NotEmpty(t, id)
	rec, _ = a.get("/read", id)
	assert.Equal(t, "1 7", rec.Body.String())
	assert.Len(t, b.records, 2, "the session, and the forward that the rotation has left")
}
