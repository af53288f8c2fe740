package session_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// TestMaxSize stores ever more in a session, with each kind of Store.
func TestMaxSize(t *testing.T) {
	c := newCipher(t, cipherKey(1))
	for name, store := range map[string]session.Initer{
		"memory":    session.MemoryIniter(),
		"backend":   initer(newMapBackend(), session.StoreConfig{}),
		"encrypted": initer(newMapBackend(), session.StoreConfig{Encoder: c.Encode, Decoder: c.Decode}),
		"JSON":      initer(newMapBackend(), session.StoreConfig{Encoder: session.JSONEncoder, Decoder: session.JSONDecoder}),
		"own Store": returns(&plainStore{rows: make(map[string][]byte)}),
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, func(o *session.Options) { o.Initer, o.MaxSize = store, 4096 })
			a.Get("/set", func(r *http.Request, s session.Session) (int, string) {
				s.Set(r.FormValue("key"), strings.Repeat("x", len(r.FormValue("length"))))
				if err := session.Commit(t.Context(), s); errors.Is(err, session.ErrTooLarge) {
					return http.StatusRequestEntityTooLarge, err.Error()
				}
				return http.StatusOK, ""
			})
			a.Get("/careless", func(s session.Session) { s.Set("long", strings.Repeat("x", 5000)) })
			a.Get("/delete", func(s session.Session) { s.Delete("b") })
			set := func(id, key string, n int) (int, string) {
				rec, told := a.get("/set?key="+key+"&length="+strings.Repeat("x", n), id)
				if rec.Code != http.StatusOK {
					assert.Contains(t, rec.Body.String(), `Options.MaxSize allows 4096`)
					assert.Contains(t, rec.Body.String(), `"`+key+`"`)
				}
				return rec.Code, told
			}
			code, told := set("", "a", 5000)
			assert.Equal(t, http.StatusRequestEntityTooLarge, code)
			assert.Empty(t, told, "no session begins")
			rec, _ := a.get("/careless", "")
			assert.Equal(t, http.StatusInternalServerError, rec.Code)
			assert.ErrorIs(t, a.errs.last(), session.ErrTooLarge)

			code, id := set("", "a", 2000)
			require.Equal(t, http.StatusOK, code)
			code, _ = set(id, "b", 3000)
			assert.Equal(t, http.StatusRequestEntityTooLarge, code)
			code, _ = set(id, "b", 1000)
			assert.Equal(t, http.StatusOK, code, "it is as it was before")
			rec, _ = a.get("/careless", id)
			assert.Equal(t, http.StatusInternalServerError, rec.Code)
			rec, _ = a.get("/delete", id)
			assert.Equal(t, http.StatusOK, rec.Code)
		})
	}
	// What is too large already can still become smaller.
	b := newFaultyBackend()
	before, after := newUserApp(t, b), newUserApp(t, b, func(o *session.Options) { o.MaxSize = 1000 })
	before.Get("/long", func(s session.Session) {
		s.Set("long", strings.Repeat("x", 5000))
		s.Set("longer", strings.Repeat("x", 6000))
	})
	after.Get("/delete", func(s session.Session) { s.Delete("longer") })
	_, id := before.get("/long", "")
	rec, _ := after.get("/delete", id)
	assert.Equal(t, http.StatusOK, rec.Code)
	rec, _ = after.get("/set", id)
	assert.Equal(t, http.StatusInternalServerError, rec.Code)
}
