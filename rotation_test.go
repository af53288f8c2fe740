package session_test

import (
	"context"
	"fmt"
	"net/http"
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

func (b *meanwhileBackend) Replace(ctx context.Context, id string, old []byte, r session.Record) error {
	b.call()
	return b.mapBackend.Replace(ctx, id, old, r)
}

// TestRegenerateDuringCommit has another goroutine of the request ask for a new ID
// while the session is being stored. In a Commit it comes in time; while the
// response starts it comes too late, and the client must not be left with an ID that
// is dead (G7).
func TestRegenerateDuringCommit(t *testing.T) {
	b := &meanwhileBackend{mapBackend: newMapBackend()}
	a := newApp(t, func(o *session.Options) { o.Initer = initer(b, session.StoreConfig{}) })
	var wanted string
	a.Get("/{how}", func(c flamego.Context, s session.Session) string {
		s.Set("k", c.Query("v"))
		b.meanwhile = func() {
			assert.NoError(t, s.RegenerateID(c.ResponseWriter(), c.Request().Request))
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
			if how == "commit" {
				assert.Equal(t, wanted, id, v)
				assert.NoError(t, a.errs.last())
			} else {
				assert.ErrorContains(t, a.errs.last(), "call it before writing", v)
			}
			rec, _ = a.get("/read/it", id)
			assert.Equal(t, v, rec.Body.String(), "%s %s", how, v)
			old = id
			b.mu.Lock()
			assert.Contains(t, b.records, id)
			b.mu.Unlock()
		}
	}
	assert.Len(t, b.records, 2, "nothing is left behind")
}
