package session_test

import (
	"fmt"
	"testing"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"

	"github.com/flamego/session"
)

// TestCommitAfterTheHandler calls Commit in a goroutine that outlives a handler without
// a response. net/http is then sending the header: nobody may write to it, and no
// client can be told a new ID.
func TestCommitAfterTheHandler(t *testing.T) {
	a := newApp(t)
	var s session.Session
	var late flamego.Context
	a.Get("/", func(c flamego.Context, sess session.Session) { late, s = c, sess })
	a.Get("/new", func(s session.Session) { s.Set("k", 1) })
	a.Get("/read", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })

	rec, _ := a.get("/", "")
	header := rec.Header().Clone()
	s.Set("k", 2)
	assert.Error(t, session.Commit(t.Context(), s), "nobody has the ID")
	assert.Empty(t, a.b.records)
	assert.Equal(t, header, rec.Header())

	_, id := a.get("/new", "")
	rec, _ = a.get("/", id)
	header = rec.Header().Clone()
	s.Set("k", 2)
	assert.NoError(t, session.Commit(t.Context(), s))
	assert.Error(t, s.RegenerateID(late.ResponseWriter(), late.Request().Request), "nobody could be told")
	assert.NoError(t, session.Commit(t.Context(), s))
	assert.Equal(t, header, rec.Header())
	rec, _ = a.get("/read", id)
	assert.Equal(t, "2", rec.Body.String())
}
