package session_test

import (
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
