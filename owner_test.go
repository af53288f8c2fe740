package session_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// TestEndAllUnreadable ends an owner's sessions although one of the records cannot be
// decoded. That one may become readable again, as with a key that was left out.
func TestEndAllUnreadable(t *testing.T) {
	a := newUserApp(t, nil)
	_, good := a.get("/in", "")
	_, bad := a.get("/in", "")
	a.b.mu.Lock()
	record := a.b.records[bad]
	a.b.records[bad] = session.Record{Data: []byte("garbage"), Expiry: record.Expiry}
	a.b.mu.Unlock()
	list, err := a.m.Sessions(t.Context(), "42")
	require.NoError(t, err)
	assert.Len(t, list, 1, "what cannot be read is not listed")

	require.NoError(t, a.m.EndAll(t.Context(), "42"))
	for _, id := range []string{good, bad} {
		a.b.mu.Lock()
		r, ok := a.b.records[id]
		a.b.mu.Unlock()
		assert.False(t, ok && string(r.Data) == "garbage", "the unreadable record is still there")
		rec, _ := a.get("/who", id)
		assert.Equal(t, http.StatusOK, rec.Code)
		assert.Equal(t, "<nil>", rec.Body.String())
	}
}

// TestSignInAgain signs in again in the same session, as a form that is sent twice does.
// That makes no more sessions, so none is evicted or refused.
func TestSignInAgain(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		a := newUserApp(t, nil, func(o *session.Options) { o.MaxPerOwner, o.RefuseOverMax = 2, refuse })
		a.Get("/flush", func(s session.Session) error { s.Flush(); return session.SetOwner(s, "42") })
		a.Get("/switch", func(s session.Session) error {
			return errors.Join(session.SetOwner(s, "7"), session.SetOwner(s, ""), session.SetOwner(s, "42"))
		})
		_, other := a.get("/in", "")
		_, id := a.get("/in", "")
		before, err := a.m.Sessions(t.Context(), "42")
		require.NoError(t, err)
		for _, path := range []string{"/flush", "/switch", "/flush"} {
			for _, own := range []*string{&id, &other} {
				rec, sent := a.get(path, *own)
				require.Equal(t, http.StatusOK, rec.Code)
				require.NotEmpty(t, sent, "a sign-in gives a new ID")
				*own = sent
			}
		}
		after, err := a.m.Sessions(t.Context(), "42")
		require.NoError(t, err)
		require.Len(t, after, 2)
		assert.Equal(t, before[0].Handle, after[0].Handle)
		assert.Equal(t, before[1].Handle, after[1].Handle)
		require.NoError(t, a.m.EndAll(t.Context(), "42", after[0].Handle))
		list, err := a.m.Sessions(t.Context(), "42")
		require.NoError(t, err)
		assert.Len(t, list, 1)
	}
}

// TestOwnerWithoutNewID sets an owner where no client can be told a new ID. Only what needs
// one is an error.
func TestOwnerWithoutNewID(t *testing.T) {
	a := newUserApp(t, nil)
	a.Get("/late", func(w http.ResponseWriter, s session.Session) {
		_, _ = w.Write([]byte("begun"))
		assert.ErrorContains(t, session.SetOwner(s, "7"), "session: set owner: the response has started")
		assert.ErrorContains(t, s.RegenerateID(w, nil), "session: regenerate ID: the response has started")
		assert.NoError(t, session.SetOwner(s, "42"))
		assert.Equal(t, "42", session.Owner(s))
		assert.NoError(t, session.SetOwner(s, ""))
		assert.NoError(t, session.Commit(t.Context(), s))
	})
	_, first := a.get("/in", "")
	_, second := a.get("/in", "")
	_, sent := a.get("/late", first)
	assert.Empty(t, sent)
	owned := func() int {
		list, err := a.m.Sessions(t.Context(), "42")
		require.NoError(t, err)
		return len(list)
	}
	assert.Equal(t, 1, owned())
	assert.ErrorContains(t, a.m.Edit(t.Context(), second, func(s session.Session) error {
		return session.SetOwner(s, "7")
	}), "call it in a handler")
	require.NoError(t, a.m.Edit(t.Context(), second, func(s session.Session) error {
		return errors.Join(session.SetOwner(s, "42"), session.SetOwner(s, ""))
	}))
	assert.Zero(t, owned())
	rec, _ := a.get("/who", second)
	assert.Equal(t, http.StatusOK, rec.Code, "the session itself goes on")
}

// TestOddNames checks names and labels that are not text.
func TestOddNames(t *testing.T) {
	a := newUserApp(t, nil)
	a.Get("/odd", func(s session.Session) {
		assert.ErrorContains(t, session.SetOwner(s, "\xff"), "not UTF-8")
		assert.NoError(t, session.SetOwner(s, "42"))
		session.SetLabel(s, "M\xf6bel")
	})
	a.get("/odd", "")
	list, err := a.m.Sessions(t.Context(), "42")
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, "M\uFFFDbel", list[0].Label)
}
