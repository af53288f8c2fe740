package session_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

// steppedBackend moves in steps, which others can come between.
type steppedBackend struct {
	*faultyBackend
	first     func() // called once, before the first step
	between   func() // the same, before the second one
	undoFails int    // how often the undo fails
}

func (b *steppedBackend) MovesInOneStep() bool { return false }

func (b *steppedBackend) Move(ctx context.Context, id, newID string, old, r session.Record) error {
	if first := b.first; first != nil {
		b.first = nil
		first()
	}
	if err := b.Create(ctx, newID, r); err != nil {
		return err
	}
	if between := b.between; between != nil {
		b.between = nil
		between()
	}
	if b.remove(id, old) {
		return nil
	}
	if b.undoFails > 0 {
		b.undoFails--
		return errDown
	}
	b.remove(newID, r)
	return session.ErrConflict
}

// remove removes a record that holds what it should.
func (b *steppedBackend) remove(id string, old session.Record) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, ok := b.records[id]
	if ok = ok && bytes.Equal(now.Data, old.Data); ok {
		delete(b.records, id)
	}
	return ok
}

// newSteppedApp is newUserApp on such a Backend.
func newSteppedApp(t *testing.T, b *steppedBackend, change ...func(*session.Options)) *app {
	on := func(o *session.Options) { o.Initer = initer(b, session.StoreConfig{}) }
	return newUserApp(t, b.faultyBackend, append(change, on)...)
}

// TestEndedStaysEndedInSteps has a session end while it moves in two steps, the second of
// which finds that, and cannot undo the first. What is left is no session (G6).
func TestEndedStaysEndedInSteps(t *testing.T) {
	for _, when := range []string{"before", "just before", "between"} {
		for _, end := range []string{"/out", "/endall"} {
			t.Run(strings.TrimPrefix(end, "/")+" "+when, func(t *testing.T) {
				b := &steppedBackend{faultyBackend: newFaultyBackend()}
				a := newSteppedApp(t, b)
				a.Get("/endall", func() error { return a.m.EndAll(t.Context(), "42") })
				sign := map[string]string{"/out": "/set", "/endall": "/in"}[end]
				_, id := a.get(sign, "")
				ends := func() {
					rec, _ := a.get(end, id)
					assert.Equal(t, http.StatusOK, rec.Code)
				}
				moved := ""
				a.Get("/move", func(c flamego.Context, s session.Session) error {
					if when == "before" {
						ends()
					}
					err := s.RegenerateID(c.ResponseWriter(), c.Request().Request)
					moved = s.ID()
					return errors.Join(err, session.Commit(t.Context(), s))
				})
				b.undoFails = 1
				switch when {
				case "just before":
					b.first = ends
				case "between":
					b.between = ends
				}
				_, sent := a.get("/move", id)
				assert.Empty(t, sent)
				assert.NotEmpty(t, moved)
				if when == "just before" { // Nor could a mover store its copy that dies then.
					assert.ErrorIs(t, b.Create(t.Context(), moved, session.Record{}), session.ErrExists)
				}
				for _, id := range []string{id, moved} {
					rec, _ := a.get("/who", id)
					assert.Equal(t, "<nil>", rec.Body.String(), "an ended session is back")
				}
			})
		}
	}
}

// TestMoveInDoubt has a move meet another one, fail, and find the store down where it asks for
// the other. Its copy must not count as the session (G7).
func TestMoveInDoubt(t *testing.T) {
	b := &steppedBackend{faultyBackend: newFaultyBackend()}
	a := newSteppedApp(t, b)
	a.Get("/move", func(c flamego.Context, s session.Session) error {
		return s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	})
	_, id := a.get("/set", "")
	b.undoFails = 1
	b.between = func() {
		_, other := a.get("/move", id)
		assert.NotEmpty(t, other)
		b.around = func(_ context.Context, method, id string, do func() error) error {
			if method == "Load" && id == other {
				return errDown
			}
			return do()
		}
	}
	rec, sent := a.get("/move", id)
	assert.Equal(t, http.StatusInternalServerError, rec.Code)
	assert.Empty(t, sent)
}

// TestEndTriedAgainInSteps ends a session that just begins to move, so that its owner's list has
// changed when it is written. The session is gone by then, and what is left of the move is no
// session.
func TestEndTriedAgainInSteps(t *testing.T) {
	for _, by := range []string{"EndAll", "MaxPerOwner"} {
		t.Run(by, func(t *testing.T) {
			now := time.Now()
			b := &steppedBackend{faultyBackend: newFaultyBackend()}
			a := newSteppedApp(t, b, func(o *session.Options) {
				o.MaxPerOwner = 1
				hook.SetClock(o, func() time.Time { return now })
			})
			_, id := a.get("/in", "")
			now = now.Add(10 * time.Minute) // Nobody waits for its sign-in any more.
			begun, ended, moved := make(chan struct{}), make(chan struct{}), make(chan string)
			b.undoFails = 1
			b.first = func() {
				close(begun)
				<-ended
			}
			b.around = func(_ context.Context, method, at string, do func() error) error {
				if method == "Load" && at == id {
					b.around = nil
					go func() { _, sent := a.get("/rotate", id); moved <- sent }()
					<-begun
				}
				return do()
			}
			live := 0
			if by == "EndAll" {
				require.NoError(t, a.m.EndAll(t.Context(), "42"))
			} else {
				_, other := a.get("/in", "")
				require.NotEmpty(t, other)
				live = 1
			}
			close(ended)
			assert.Empty(t, <-moved)
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, r := range b.records {
				data, err := session.GobDecoder(r.Data)
				require.NoError(t, err)
				if data["user"] != nil {
					live--
				}
			}
			assert.Zero(t, live, "an ended session lives")
		})
	}
}

// TestHashIDsInSteps has two requests change a session from before HashIDs at the same time,
// where moving it to its hash takes two steps. Nothing is lost (G4).
func TestHashIDsInSteps(t *testing.T) {
	b := &steppedBackend{faultyBackend: newFaultyBackend()}
	before, after := newSteppedApp(t, b), newSteppedApp(t, b, hashIDs)
	_, id := before.get("/set", "")
	after.Get("/first", func(s session.Session) { s.Set("first", 1) })
	after.Get("/second", func(s session.Session) {
		s.Set("second", 1)
	})
	after.Get("/both", func(s session.Session) (int, string) {
		if s.Get("first") == nil || s.Get("second") == nil {
			return http.StatusNotFound, "lost"
		}
		return http.StatusOK, "both"
	})
	loaded, stored := make(chan struct{}), make(chan struct{})
	after.Get("/slow", func(s session.Session) {
		close(loaded)
		<-stored
		s.Set("second", 1)
	})
	done := make(chan int)
	go func() { rec, _ := after.get("/slow", id); done <- rec.Code }()
	<-loaded
	b.between = func() {
		close(stored)
		assert.Equal(t, http.StatusOK, <-done)
	}
	rec, _ := after.get("/first", id)
	require.Equal(t, http.StatusOK, rec.Code)
	rec, _ = after.get("/both", id)
	assert.Equal(t, "both", rec.Body.String())
}

// TestPanicAfterStoring has the Backend panic when it has stored a flash, which another
// request shows at once. It is not shown again (G5).
func TestPanicAfterStoring(t *testing.T) {
	for _, method := range []string{"Create", "Replace", "Move"} {
		t.Run(method, func(t *testing.T) {
			a := newApp(t)
			id, other := "", ""
			if method != "Create" {
				a.Get("/set", func(s session.Session) { s.Set("k", 1) })
				_, id = a.get("/set", "")
			}
			a.Get("/show", func(flash session.Flash) string { s, _ := flash.(string); return s })
			a.Get("/", func(c flamego.Context, s session.Session) error {
				s.SetFlash("hello")
				if method == "Move" {
					if err := s.RegenerateID(c.ResponseWriter(), c.Request().Request); err != nil {
						return err
					}
				}
				other = s.ID()
				shown := ""
				a.b.next(method, func(ctx context.Context, do func() error) error {
					_ = do()
					rec, _ := a.get("/show", other)
					shown = rec.Body.String()
					panic("after storing")
				})
				err := session.Commit(t.Context(), s)
				if method == "Move" { // Its outcome can be seen.
					assert.NoError(t, err)
				} else {
					assert.ErrorContains(t, err, "after storing")
				}
				assert.Equal(t, "hello", shown)
				return nil
			})
			_, sent := a.get("/", id)
			if sent == "" {
				sent = other
			}
			rec, _ := a.get("/show", sent)
			assert.Empty(t, rec.Body.String(), "shown twice")
		})
	}
}
