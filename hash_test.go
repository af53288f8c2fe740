package session_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/driver"
	"github.com/flamego/session/driver/drivertest"
)

func hashIDs(o *session.Options) { o.HashIDs = true }

// storedKey is the key under which the guide says that a session is stored.
func storedKey(id string) string {
	sum := sha256.Sum256([]byte(id))
	return "z" + strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
}

// TestHashIDs runs the suite with hashes for keys.
func TestHashIDs(t *testing.T) {
	var b *mapBackend
	drivertest.Suite{
		Open: func(*testing.T) func() session.Options {
			b = newMapBackend()
			return func() session.Options {
				return session.Options{Initer: initer(b, session.StoreConfig{}), HashIDs: true}
			}
		},
		Corrupt: func(_ *testing.T, id string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			r := b.records[storedKey(id)]
			r.Data = []byte("garbage")
			b.records[storedKey(id)] = r
		},
	}.Run(t)
}

// everything is what a dump of the storage shows.
func (a *app) everything() string {
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	var dump bytes.Buffer
	for id, r := range a.b.records {
		fmt.Fprintf(&dump, "%s %s\n", id, r.Data)
	}
	return dump.String()
}

// newUserApp is an application with sign-in and sign-out.
func newUserApp(t *testing.T, b *faultyBackend, change ...func(*session.Options)) *app {
	a := newApp(t, append([]func(*session.Options){func(o *session.Options) {
		if b != nil {
			o.Initer = initer(b, session.StoreConfig{})
		}
	}}, change...)...)
	if b != nil {
		a.b = b
	}
	a.Get("/in", func(s session.Session) error { s.Set("user", "42"); return session.SetOwner(s, "42") })
	a.Get("/set", func(s session.Session) { s.Set("user", "42") })
	a.Get("/rotate", func(c flamego.Context, s session.Session) error {
		return s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	})
	a.Get("/out", func(s session.Session) { session.Destroy(s) })
	a.Get("/who", func(s session.Session) string { return fmt.Sprint(s.Get("user")) })
	return a
}

// TestMovesToItsHash loads a session while another request moves it to the hash of its ID.
func TestMovesToItsHash(t *testing.T) {
	b := newFaultyBackend()
	before, after := newUserApp(t, b), newUserApp(t, b, hashIDs)
	_, id := before.get("/set", "")
	after.Get("/change", func(s session.Session) { s.Set("k", 1) })
	b.around = func(_ context.Context, method, at string, do func() error) error {
		if method == "Load" && at == id {
			b.around = nil
			after.get("/change", id)
		}
		return do()
	}
	rec, _ := after.get("/who", id)
	assert.Equal(t, "42", rec.Body.String())
	assert.Nil(t, b.around)
}

// TestSignOutAfterHashing signs out of a session from before HashIDs. The owner may sign in
// again.
func TestSignOutAfterHashing(t *testing.T) {
	b := newFaultyBackend()
	one := func(o *session.Options) { o.MaxPerOwner, o.RefuseOverMax = 1, true }
	before, after := newUserApp(t, b, one), newUserApp(t, b, one, hashIDs)
	_, id := before.get("/in", "")
	after.get("/out", id)
	rec, _ := after.get("/in", "")
	assert.Equal(t, http.StatusOK, rec.Code)
}

// TestNoIDInTheStorage signs in, rotates and signs out, and looks for the IDs in all that
// was ever stored. What is there opens nothing.
func TestNoIDInTheStorage(t *testing.T) {
	a := newUserApp(t, nil, hashIDs)
	var ids []string
	id := ""
	for _, path := range []string{"/in", "/rotate", "/rotate", "/set", "/out"} {
		rec, sent := a.get(path, id)
		require.Equal(t, http.StatusOK, rec.Code, path)
		if sent != "" && path != "/out" {
			id, ids = sent, append(ids, sent)
		}
		dump := a.everything()
		for _, id := range ids {
			assert.NotContains(t, dump, id, path)
		}
		if path == "/out" {
			continue
		}
		require.Contains(t, dump, storedKey(id))
		rec, _ = a.get("/who", storedKey(id))
		assert.Equal(t, "<nil>", rec.Body.String(), "a hash from a dump signs somebody in")
		_, err := a.m.Store().Read(t.Context(), storedKey(id))
		assert.Error(t, err)
		require.NoError(t, a.m.Store().Destroy(t.Context(), storedKey(id)))
		require.Contains(t, a.everything(), storedKey(id), "a hash from a dump ends a session")
	}
	assert.Len(t, ids, 3)
}

// TestHashIDsLater turns the option on: the sessions that are there go on, move to their
// hashes when they change, and can be ended before and after that.
func TestHashIDsLater(t *testing.T) {
	b := newFaultyBackend()
	before, after := newUserApp(t, b), newUserApp(t, b, hashIDs)
	for _, write := range []bool{false, true} {
		_, id := before.get("/in", "")
		rec, _ := after.get("/who", id)
		require.Equal(t, "42", rec.Body.String())
		if write {
			after.get("/set?", id)
			after.get("/rotate", id)
		}
		_, first := before.get("/in", "")
		rec, sent := after.get("/rotate", first)
		require.Equal(t, http.StatusOK, rec.Code)
		rec, _ = after.get("/who", sent)
		assert.Equal(t, "42", rec.Body.String())
		rec, _ = after.get("/who", first)
		assert.Equal(t, "<nil>", rec.Body.String())
		after.get("/out", id)
		rec, _ = after.get("/who", id)
		assert.Equal(t, "<nil>", rec.Body.String(), "it has been ended")
		require.NoError(t, after.m.EndAll(t.Context(), "42"))
		rec, _ = after.get("/who", sent)
		assert.Equal(t, "<nil>", rec.Body.String(), "all have been ended")
	}
}

// TestHashIDsLongIDs has IDs as long as the keys. None may look like one.
func TestHashIDsLongIDs(t *testing.T) {
	a := newUserApp(t, nil, hashIDs, func(o *session.Options) { o.IDLength = len(storedKey("")) })
	for range 200 { // With one letter in 32, all but one run in 500 would notice.
		_, id := a.get("/set", "")
		rec, _ := a.get("/who", id)
		require.Equal(t, "42", rec.Body.String(), "the session is lost")
	}
}

// TestHashIDsNeedsAStore checks that the option is refused where it would do nothing.
func TestHashIDsNeedsAStore(t *testing.T) {
	own := func(context.Context, ...interface{}) (session.Store, error) { return &plainStore{}, nil }
	_, err := session.NewManager(session.Options{Initer: own, HashIDs: true})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	assert.ErrorContains(t, err, "HashIDs")

	shared := session.NewStore(newMapBackend(), session.StoreConfig{})
	same := func(context.Context, ...interface{}) (session.Store, error) { return shared, nil }
	m, err := session.NewManager(session.Options{Initer: same, HashIDs: true})
	require.NoError(t, err)
	defer func() { assert.NoError(t, m.Close(t.Context())) }()
	_, err = session.NewManager(session.Options{Initer: same, Cookie: session.CookieOptions{Name: "other"}})
	assert.ErrorContains(t, err, "HashIDs is not the same")
}

// TestKeysAreNoIDs presents what a dump of hashed IDs holds to servers that do not hash: before
// a roll-out, after a way back, or in a mixed fleet.
func TestKeysAreNoIDs(t *testing.T) {
	c := newCipher(t, cipherKey(1))
	for name, sc := range map[string]session.StoreConfig{"": {}, "encrypted": {Encoder: c.Encode, Decoder: c.Decode}} {
		b := newFaultyBackend()
		on := func(o *session.Options) { o.Initer = initer(b, sc) }
		hashed, plain := newUserApp(t, nil, on, hashIDs), newUserApp(t, nil, on)
		_, id := hashed.get("/in", "")
		require.Len(t, b.records, 2) // The session and its owner's list.
		for key := range b.records {
			for _, a := range []*app{hashed, plain} {
				rec, told := a.get("/who", key)
				assert.Equal(t, "<nil>", rec.Body.String(), name)
				assert.Empty(t, told)
				if key == storedKey(id) {
					assert.False(t, a.m.Store().Exist(t.Context(), key), name)
					assert.NoError(t, a.m.Store().Destroy(t.Context(), key))
					assert.ErrorIs(t, a.m.Edit(t.Context(), key, func(session.Session) error { return nil }), session.ErrNotFound, name)
					_, err := a.m.Store().Read(t.Context(), key)
					assert.Error(t, err, name)
				}
			}
		}
		rec, _ := hashed.get("/who", id)
		assert.Equal(t, "42", rec.Body.String(), name)
	}
	// So it is in memory, and with a Store of the application's own.
	memory, err := session.MemoryIniter()(t.Context())
	require.NoError(t, err)
	_, err = memory.Read(t.Context(), storedKey("1"))
	assert.Error(t, err)
	own := &plainStore{rows: make(map[string][]byte)}
	a := newUserApp(t, nil, func(o *session.Options) { o.Initer = returns(own) })
	_, id := a.get("/set", "")
	own.rows[storedKey(id)] = own.rows[id]
	rec, _ := a.get("/who", storedKey(id))
	assert.Equal(t, "<nil>", rec.Body.String())
}

// TestForgedNotes has the library's own records hold what somebody with access to the storage
// has written there. What is no ID is ignored.
func TestForgedNotes(t *testing.T) {
	b := newFaultyBackend()
	a := newUserApp(t, b, func(o *session.Options) { o.RenewEvery = 10 * time.Minute })
	_, old := a.get("/in", "")
	_, id := a.get("/rotate", old)
	for _, forged := range []string{
		"~" + strings.Repeat("x", 10000), id + "~" + strings.Repeat("a", 129), id + "~" + strings.Repeat("A", 32), id + "~", "../../etc/passwd", "../../etc/passwd~" + strings.Repeat("a", 32), "~",
	} {
		for key, r := range b.records {
			data, err := session.GobDecoder(r.Data)
			require.NoError(t, err)
			for name, val := range data {
				text, _ := val.(string)
				switch name {
				case "flamego::session::forward":
					data[name] = forged
				case "flamego::session::sessions":
					data[name] = strings.TrimSuffix(text, "\n") + " " + forged + "\n" + "h 1 " + forged + "\n"
				}
			}
			r.Data, err = session.GobEncoder(data)
			require.NoError(t, err)
			b.records[key] = r
		}
		b.around = func(_ context.Context, method, at string, do func() error) error {
			assert.True(t, driver.ValidID(at), "%s of %.40q", method, at)
			return do()
		}
		assert.False(t, a.m.Store().Exist(t.Context(), old), "%.40q", forged)
		rec, _ := a.get("/who", old)
		assert.Equal(t, "<nil>", rec.Body.String(), "%.40q", forged)
		list, err := a.m.Sessions(t.Context(), "42")
		assert.NoError(t, err)
		assert.Len(t, list, 1, "%.40q", forged)
		b.around = nil
	}
	require.NoError(t, a.m.EndAll(t.Context(), "42"))
	rec, _ := a.get("/who", id)
	assert.Equal(t, "<nil>", rec.Body.String())

	// A circle of forwards, which somebody who signs out follows.
	_, first := a.get("/set", "")
	_, second := a.get("/rotate", first)
	b.before("Delete", func() {
		a.get("/rotate", second)
		for key, r := range b.records {
			if data, _ := session.GobDecoder(r.Data); data["flamego::session::forward"] != nil {
				r.Data, _ = session.GobEncoder(session.Data{"flamego::session::forward": strings.Join([]string{first, second, first, id}, " ")})
				b.records[key] = r
			}
		}
	})
	rec, _ = a.get("/out", second)
	assert.Equal(t, http.StatusOK, rec.Code)
}

// TestCopiedRecord copies a signed-in visitor's encrypted record under the ID of another
// session.
func TestCopiedRecord(t *testing.T) {
	for _, hash := range []bool{false, true} {
		c := newCipher(t, cipherKey(1))
		b := newFaultyBackend()
		a := newUserApp(t, nil, func(o *session.Options) {
			o.Initer, o.HashIDs = initer(b, session.StoreConfig{Encoder: c.Encode, Decoder: c.Decode}), hash
		})
		_, victim := a.get("/set", "")
		_, thief := a.get("/set", "")
		key := func(id string) string {
			if hash {
				return storedKey(id)
			}
			return id
		}
		b.records[key(thief)] = b.records[key(victim)]
		rec, _ := a.get("/who", thief)
		assert.Equal(t, "<nil>", rec.Body.String())
		assert.ErrorContains(t, a.errs.last(), "copied")
		rec, _ = a.get("/who", victim)
		assert.Equal(t, "42", rec.Body.String())
		_, moved := a.get("/rotate", victim)
		rec, _ = a.get("/who", moved)
		assert.Equal(t, "42", rec.Body.String(), "a rotation binds it to the new ID")

		// To the same ID, in another table.
		other := newFaultyBackend()
		there := newUserApp(t, other, func(o *session.Options) {
			o.Initer, o.HashIDs = initer(other, session.StoreConfig{Encoder: c.Encode, Decoder: c.Decode, Name: "other"}), hash
		})
		other.records[key(moved)] = b.records[key(moved)]
		rec, _ = there.get("/who", moved)
		assert.Equal(t, "<nil>", rec.Body.String())
		assert.ErrorContains(t, there.errs.last(), "copied")
	}
}
