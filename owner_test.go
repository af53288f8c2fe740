package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
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
		assert.Equal(t, before[1].Handle, after[0].Handle, "the list is in the order of the sign-ins")
		assert.Equal(t, before[0].Handle, after[1].Handle)
		if !refuse { // The oldest sign-in makes room.
			a.get("/in", "")
			list, err := a.m.Sessions(t.Context(), "42")
			require.NoError(t, err)
			require.Len(t, list, 2)
			assert.Equal(t, after[1].Handle, list[0].Handle)
		}
		require.NoError(t, a.m.EndAll(t.Context(), "42", after[1].Handle))
		list, err := a.m.Sessions(t.Context(), "42")
		require.NoError(t, err)
		assert.Len(t, list, 1)
	}
}

// TestSignInAgainThenCommit has another request sign out after this one has signed in
// again. What this one sets from then on is dropped, also after a Commit.
func TestSignInAgainThenCommit(t *testing.T) {
	for _, commits := range []bool{false, true} {
		a := newUserApp(t, nil)
		a.Get("/nobody", func(s session.Session) error { return session.SetOwner(s, "") })
		a.Get("/role", func(s session.Session) string { return fmt.Sprint(s.Get("role")) })
		_, id := a.get("/in", "")
		a.Get("/again", func(c flamego.Context, s session.Session) {
			ctx := c.Request().Context()
			assert.NoError(t, session.SetOwner(s, "42"))
			if commits {
				s.Set("n", 1)
				assert.NoError(t, session.Commit(ctx, s))
			}
			a.get("/nobody", id)
			s.Set("role", "admin")
			assert.ErrorIs(t, session.Refresh(ctx, s), session.ErrEnded)
		})
		a.get("/again", id)
		rec, _ := a.get("/role", id)
		assert.Equal(t, "<nil>", rec.Body.String())
	}
}

// TestExpiredMakesRoom signs in when one of the owner's sessions has just expired: it takes
// nobody's place.
func TestExpiredMakesRoom(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		now := time.Now()
		a := newUserApp(t, nil, func(o *session.Options) {
			o.MaxPerOwner, o.RefuseOverMax = 2, refuse
			hook.SetClock(o, func() time.Time { return now })
		})
		a.Get("/short", func(s session.Session) error { return session.SetLifetime(s, time.Minute) })
		_, id := a.get("/in", "")
		_, expired := a.get("/in", "")
		a.get("/short", expired)
		now = now.Add(2 * time.Minute)
		rec, _ := a.get("/in", "")
		assert.Equal(t, http.StatusOK, rec.Code)
		rec, _ = a.get("/who", id)
		assert.Equal(t, "42", rec.Body.String())
	}
}

// TestUnreadableStaysListed signs in on a server that cannot decode another session of the
// owner. Those that can still find it (G17).
func TestUnreadableStaysListed(t *testing.T) {
	now := time.Now()
	b := newFaultyBackend()
	server := func(unknown string) *app {
		return newUserApp(t, nil, func(o *session.Options) {
			o.MaxPerOwner = 10
			o.Initer = initer(b, session.StoreConfig{Encoder: session.GobEncoder, Decoder: func(data []byte) (session.Data, error) {
				if bytes.Contains(data, []byte(unknown)) {
					return nil, errors.New("gob: name not registered for interface")
				}
				return session.GobDecoder(data)
			}})
			hook.SetClock(o, func() time.Time { return now })
		})
	}
	updated, older := server("nothing has this"), server("a new type")
	updated.Get("/buy", func(s session.Session) { s.Set("cart", "a new type") })
	_, id := updated.get("/in", "")
	updated.get("/buy", id)
	now = now.Add(6 * time.Minute)
	rec, _ := older.get("/in", "")
	require.Equal(t, http.StatusOK, rec.Code)
	list, err := updated.m.Sessions(t.Context(), "42")
	require.NoError(t, err)
	assert.Len(t, list, 2)
	require.NoError(t, updated.m.EndAll(t.Context(), "42"))
	rec, _ = updated.get("/who", id)
	assert.Equal(t, "<nil>", rec.Body.String())
}

// TestUnreadableKeepsNobodyOut signs in where the only place is taken by a session that
// nobody can decode.
func TestUnreadableKeepsNobodyOut(t *testing.T) {
	for _, later := range []time.Duration{6 * time.Minute, 2 * time.Hour} {
		now := time.Now()
		a := newUserApp(t, nil, func(o *session.Options) {
			o.MaxPerOwner, o.RefuseOverMax = 1, true
			hook.SetClock(o, func() time.Time { return now })
		})
		_, id := a.get("/in", "")
		a.b.records[id] = session.Record{Data: []byte("garbage"), Expiry: a.b.records[id].Expiry}
		now = now.Add(later)
		rec, _ := a.get("/in", "")
		assert.Equal(t, http.StatusOK, rec.Code)
		rec, _ = a.get("/in", "")
		assert.Equal(t, http.StatusInternalServerError, rec.Code, "now it is full")
	}

	// One that has expired takes no place at all.
	now := time.Now()
	a := newUserApp(t, nil, func(o *session.Options) {
		o.MaxPerOwner = 2
		hook.SetClock(o, func() time.Time { return now })
	})
	_, first := a.get("/in", "")
	_, second := a.get("/in", "")
	a.b.records[second] = session.Record{Data: []byte("garbage"), Expiry: now}
	now = now.Add(6 * time.Minute)
	a.get("/in", "")
	rec, _ := a.get("/who", first)
	assert.Equal(t, "42", rec.Body.String())
}

// TestLongList signs in where hundreds of the owner's sessions have expired and are gone. It
// does not look for each of them.
func TestLongList(t *testing.T) {
	now, b := time.Now(), newFaultyBackend()
	a := newUserApp(t, b, func(o *session.Options) {
		o.Initer = initer(manyBackend{b}, session.StoreConfig{})
		hook.SetClock(o, func() time.Time { return now })
	})
	for range 128 {
		a.get("/in", "")
	}
	now = now.Add(2 * time.Hour)
	require.NoError(t, a.m.Store().GC(t.Context()))
	before := b.calls.Load()
	rec, _ := a.get("/in", "")
	require.Equal(t, http.StatusOK, rec.Code)
	assert.Less(t, b.calls.Load()-before, int64(10))
}

// manyBackend loads many records in one call.
type manyBackend struct{ *faultyBackend }

func (b manyBackend) LoadMany(_ context.Context, ids []string) (map[string]session.Record, error) {
	b.calls.Add(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	found := make(map[string]session.Record)
	for _, id := range ids {
		if r, ok := b.records[id]; ok {
			found[id] = r
		}
	}
	return found, nil
}

// TestFlashAtTheEndOfTheList takes a flash when the owner's list is about to end. The
// session is accessed like any other, and lasts for a whole Lifetime (G9).
func TestFlashAtTheEndOfTheList(t *testing.T) {
	now := time.Now()
	a := newUserApp(t, nil, func(o *session.Options) { hook.SetClock(o, func() time.Time { return now }) })
	a.Get("/flash", func(s session.Session) { s.SetFlash("Saved.") })
	a.Get("/show", func(f session.Flash) string { return fmt.Sprint(f) })
	_, id := a.get("/in", "")
	for end := now.Add(7*24*time.Hour - 30*time.Minute); now.Before(end); now = now.Add(30 * time.Minute) {
		a.get("/who", id)
	}
	now = now.Add(29 * time.Minute)
	a.get("/flash", id)
	now = now.Add(50 * time.Minute)
	rec, _ := a.get("/show", id)
	require.Equal(t, "Saved.", rec.Body.String())
	now = now.Add(59 * time.Minute)
	rec, _ = a.get("/who", id)
	assert.Equal(t, "42", rec.Body.String())
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

// TestListUnderAnotherKey signs in again after the encryption key was thrown away, as
// when it has leaked. The owner's list cannot be read any more either.
func TestListUnderAnotherKey(t *testing.T) {
	b := newFaultyBackend()
	under := func(key byte) *app {
		c, err := session.NewCipher(bytes.Repeat([]byte{key}, 32))
		require.NoError(t, err)
		return newUserApp(t, b, func(o *session.Options) {
			o.Initer = initer(b, session.StoreConfig{Encoder: c.Encode, Decoder: c.Decode})
		})
	}
	before, after := under(1), under(2)
	before.get("/in", "")
	assert.Error(t, after.m.EndAll(t.Context(), "42"), "nobody knows what that should have ended")
	var wg sync.WaitGroup
	for range 10 { // Together: none throws away the list that another has begun.
		wg.Go(func() {
			rec, _ := after.get("/in", "")
			assert.Equal(t, http.StatusOK, rec.Code)
		})
	}
	wg.Wait()
	assert.ErrorContains(t, after.errs.last(), "a list starts anew")
	list, err := after.m.Sessions(t.Context(), "42")
	require.NoError(t, err)
	assert.Len(t, list, 10)
	require.NoError(t, after.m.EndAll(t.Context(), "42"))
}

// TestEndAllInSteps ends more sessions than there is time for. Each try gets further.
func TestEndAllInSteps(t *testing.T) {
	a := newUserApp(t, nil)
	for range 300 {
		a.get("/in", "")
	}
	left, tries := 0, 0
	a.b.around = func(_ context.Context, _, _ string, do func() error) error {
		if left--; left < 0 {
			return context.DeadlineExceeded
		}
		return do()
	}
	for err := errors.New("not yet"); err != nil; tries++ {
		require.Less(t, tries, 10, "it never ends them all")
		left = 250
		err = a.m.EndAll(t.Context(), "42")
	}
	a.b.around = nil
	list, err := a.m.Sessions(t.Context(), "42")
	require.NoError(t, err)
	assert.Empty(t, list)
}

// TestSessionsWhileOneMoves lists the sessions while one of them gets a new ID.
func TestSessionsWhileOneMoves(t *testing.T) {
	a := newUserApp(t, nil)
	_, id := a.get("/in", "")
	a.b.around = func(_ context.Context, method, at string, do func() error) error {
		if method == "Load" && at == id {
			a.b.around = nil
			a.get("/rotate", id)
		}
		return do()
	}
	list, err := a.m.Sessions(t.Context(), "42")
	require.NoError(t, err)
	assert.Len(t, list, 1)
}

// backwards loads many records one by one, the last first, which a LoadMany may.
type backwards struct {
	*faultyBackend
	between func() // called once, after the first of several
}

func (b *backwards) LoadMany(ctx context.Context, ids []string) (map[string]session.Record, error) {
	found := make(map[string]session.Record)
	for _, id := range slices.Backward(ids) {
		if r, err := b.Load(ctx, id); err == nil {
			found[id] = r
		}
		if between := b.between; between != nil && len(ids) > 1 {
			b.between = nil
			between()
		}
	}
	return found, ctx.Err()
}

// TestMovesBetweenTwoLoads has a session move while somebody looks under both of its IDs: under
// the new one before that, under the old one after it. It stays on the list.
func TestMovesBetweenTwoLoads(t *testing.T) {
	for _, look := range []string{"a list", "a sign-in"} {
		t.Run(look, func(t *testing.T) {
			now := time.Now()
			b := &backwards{faultyBackend: newFaultyBackend()}
			a := newUserApp(t, b.faultyBackend, func(o *session.Options) {
				o.Initer, o.MaxPerOwner = initer(b, session.StoreConfig{}), 5
				hook.SetClock(o, func() time.Time { return now })
			})
			_, id := a.get("/in", "")
			now = now.Add(10 * time.Minute) // Nobody waits for its sign-in any more.
			want := 1
			b.next("Move", func(_ context.Context, do func() error) (err error) {
				b.between = func() { err = do() }
				if look == "a sign-in" {
					a.get("/in", "")
					want = 2
				}
				list, listErr := a.m.Sessions(t.Context(), "42")
				assert.NoError(t, listErr)
				assert.Len(t, list, want)
				return err
			})
			_, moved := a.get("/rotate", id)
			require.NotEmpty(t, moved)
			require.NoError(t, a.m.EndAll(t.Context(), "42"))
			rec, _ := a.get("/who", moved)
			assert.Equal(t, "<nil>", rec.Body.String(), "it has escaped")
		})
	}
}

// TestSlidesAtTheLastMoment uses a session at the end of its time, just when a sign-in
// looks for what has expired. It must not live on without being listed.
func TestSlidesAtTheLastMoment(t *testing.T) {
	now := time.Now()
	a := newUserApp(t, nil, func(o *session.Options) {
		o.MaxPerOwner = 5
		hook.SetClock(o, func() time.Time { return now })
	})
	_, id := a.get("/in", "")
	now = now.Add(63*time.Minute - time.Millisecond)
	a.b.around = func(_ context.Context, method, at string, do func() error) error {
		err := do()
		if method == "Load" && at == id {
			a.b.around = nil
			rec, _ := a.get("/who", id)
			assert.Equal(t, "42", rec.Body.String())
			now = now.Add(2 * time.Millisecond)
		}
		return err
	}
	a.get("/in", "")
	require.NoError(t, a.m.EndAll(t.Context(), "42"))
	rec, _ := a.get("/who", id)
	assert.Equal(t, "<nil>", rec.Body.String(), "it has escaped")
}

// TestFailedSignIn checks that a sign-in that was not stored takes nobody's place.
func TestFailedSignIn(t *testing.T) {
	a := newUserApp(t, nil, func(o *session.Options) { o.MaxPerOwner, o.RefuseOverMax = 1, true })
	a.Get("/bad", func(s session.Session) error { s.Set("k", func() {}); return session.SetOwner(s, "42") })
	a.get("/in", "")
	require.NoError(t, a.m.EndAll(t.Context(), "42"))

	rec, _ := a.get("/bad", "")
	assert.Equal(t, http.StatusInternalServerError, rec.Code)
	a.b.next("Create", func(context.Context, func() error) error { return errors.New("lost") })
	rec, _ = a.get("/in", "")
	assert.Equal(t, http.StatusInternalServerError, rec.Code)

	rec, _ = a.get("/in", "")
	assert.Equal(t, http.StatusOK, rec.Code)
	list, err := a.m.Sessions(t.Context(), "42")
	require.NoError(t, err)
	assert.Len(t, list, 1)
}

// TestFailedSignInOfASession is TestFailedSignIn for who has a session already, which a
// sign-in moves.
func TestFailedSignInOfASession(t *testing.T) {
	a := newUserApp(t, nil, func(o *session.Options) { o.MaxPerOwner, o.RefuseOverMax = 1, true })
	a.Get("/cart", func(s session.Session) { s.Set("cart", 1) })
	_, id := a.get("/cart", "")
	a.b.next("Move", func(context.Context, func() error) error { return errors.New("lost") })
	rec, _ := a.get("/in", id)
	assert.Equal(t, http.StatusInternalServerError, rec.Code)
	rec, _ = a.get("/in", id)
	assert.Equal(t, http.StatusOK, rec.Code)
	list, err := a.m.Sessions(t.Context(), "42")
	require.NoError(t, err)
	assert.Len(t, list, 1)
}

// TestSlowSignIn has the server stand still for so long, between the list and the record, that
// who ends all of the owner's sessions takes the sign-in for one that has failed.
func TestSlowSignIn(t *testing.T) {
	for _, visitor := range []string{"new", "with a cart"} {
		t.Run(visitor, func(t *testing.T) {
			now := time.Now()
			a := newUserApp(t, nil, func(o *session.Options) { hook.SetClock(o, func() time.Time { return now }) })
			a.Get("/cart", func(s session.Session) { s.Set("cart", 1) })
			a.get("/in", "") // So that there is a list.
			id := ""
			if visitor != "new" {
				_, id = a.get("/cart", "")
			}
			a.b.next("Replace", func(_ context.Context, do func() error) error {
				err := do()
				now = now.Add(10 * time.Minute)
				assert.NoError(t, a.m.EndAll(t.Context(), "42"))
				return err
			})
			rec, sent := a.get("/in", id)
			assert.Equal(t, http.StatusInternalServerError, rec.Code)
			assert.Empty(t, sent)
			list, err := a.m.Sessions(t.Context(), "42")
			require.NoError(t, err)
			assert.Empty(t, list)
			rec, _ = a.get("/in", id)
			assert.Equal(t, http.StatusOK, rec.Code)
		})
	}
}

// TestLeavesWhileItMoves makes a session nobody's while another request gives it a new ID.
// The place is free at once.
func TestLeavesWhileItMoves(t *testing.T) {
	a := newUserApp(t, nil, func(o *session.Options) { o.MaxPerOwner, o.RefuseOverMax = 1, true })
	a.Get("/leave", func(s session.Session) error { return session.SetOwner(s, "") })
	_, id := a.get("/in", "")
	a.b.before("Move", func() { a.get("/leave", id) })
	_, moved := a.get("/rotate", id)
	require.NotEmpty(t, moved)
	rec, _ := a.get("/in", "")
	assert.Equal(t, http.StatusOK, rec.Code)
}

// TestEndsWhereItHasMoved signs out in a session that another request has just moved, by a
// new ID or by a sign-in. The place is free at once.
func TestEndsWhereItHasMoved(t *testing.T) {
	for _, hash := range []bool{false, true} {
		a := newUserApp(t, nil, func(o *session.Options) { o.MaxPerOwner, o.RefuseOverMax, o.HashIDs = 1, true, hash })
		a.Get("/cart", func(s session.Session) { s.Set("cart", 1) })
		meanwhile := ""
		a.Get("/end", func(s session.Session) {
			a.get(meanwhile, s.ID())
			session.Destroy(s)
		})
		for _, start := range [][]string{{"/in", "/rotate"}, {"/cart", "/in"}} {
			_, id := a.get(start[0], "")
			meanwhile = start[1]
			a.get("/end", id)
			rec, last := a.get("/in", "")
			assert.Equal(t, http.StatusOK, rec.Code)
			a.get("/end", last)
			require.NoError(t, a.m.EndAll(t.Context(), "42"))
		}
	}
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

// TestSameOwnerMeetsFlush signs in again while another request makes the session nobody's.
// Either comes first: what must not be left is a session that is signed in and unlisted.
func TestSameOwnerMeetsFlush(t *testing.T) {
	a := newUserApp(t, nil)
	a.Get("/flush", func(s session.Session) { s.Flush() })
	a.Get("/commit", func(c flamego.Context, s session.Session) error {
		s.Set("user", "42")
		assert.NoError(t, session.SetOwner(s, "42"))
		assert.ErrorIs(t, session.Commit(c.Request().Context(), s), session.ErrEnded)
		return nil
	})
	a.Get("/refresh", func(c flamego.Context, s session.Session) {
		s.Set("user", "42")
		assert.NoError(t, session.SetOwner(s, "42"))
		a.get("/flush", s.ID())
		assert.ErrorIs(t, session.Refresh(c.Request().Context(), s), session.ErrEnded)
	})
	for _, path := range []string{"/in", "/commit", "/refresh"} {
		_, id := a.get("/in", "")
		if path != "/refresh" {
			a.b.before("Replace", func() { a.get("/flush", id) })
		}
		rec, sent := a.get(path, id)
		assert.Equal(t, http.StatusOK, rec.Code)
		assert.Empty(t, sent)
		require.NoError(t, a.m.EndAll(t.Context(), "42"))
		rec, _ = a.get("/who", id)
		assert.Equal(t, "<nil>", rec.Body.String(), "it has escaped")
	}
	// What the request itself does comes after the owner that it found.
	a.Get("/leave", func(s session.Session) error {
		assert.NoError(t, session.SetOwner(s, "42"))
		s.Set("user", "nobody")
		return session.SetOwner(s, "")
	})
	_, id := a.get("/in", "")
	a.b.before("Replace", func() { a.get("/flush", id) })
	a.get("/leave", id)
	rec, _ := a.get("/who", id)
	assert.Equal(t, "nobody", rec.Body.String())
}

// TestSignInAgainTriedTwice signs in again in the same session, but the store fails twice.
// The session stays where it was, and on the list.
func TestSignInAgainTriedTwice(t *testing.T) {
	a := newUserApp(t, nil)
	a.Get("/again", func(c flamego.Context, s session.Session) error {
		s.Flush()
		assert.NoError(t, session.SetOwner(s, "42"))
		assert.Error(t, session.Commit(c.Request().Context(), s))
		return nil
	})
	_, id := a.get("/in", "")
	a.b.around = func(_ context.Context, method, _ string, do func() error) error {
		if method == "Move" {
			return errors.New("lost")
		}
		return do()
	}
	rec, _ := a.get("/again", id)
	assert.Equal(t, http.StatusInternalServerError, rec.Code)
	a.b.around = nil
	rec, _ = a.get("/who", id)
	require.Equal(t, "42", rec.Body.String())
	list, err := a.m.Sessions(t.Context(), "42")
	require.NoError(t, err)
	assert.Len(t, list, 1)
	require.NoError(t, a.m.EndAll(t.Context(), "42"))
	rec, _ = a.get("/who", id)
	assert.Equal(t, "<nil>", rec.Body.String(), "it has escaped")
}

// TestSignInAgainAfterRenewal signs in again while one request gives the session a new ID,
// and then another flushes it, which takes it off the list.
func TestSignInAgainAfterRenewal(t *testing.T) {
	now := time.Now()
	a := newUserApp(t, nil, func(o *session.Options) {
		o.RenewEvery = 30 * time.Minute
		hook.SetClock(o, func() time.Time { return now })
	})
	a.Get("/flush", func(s session.Session) { s.Flush() })
	a.Get("/again", func(s session.Session) error {
		s.Flush()
		s.Set("user", "42")
		return session.SetOwner(s, "42")
	})
	_, id := a.get("/in", "")
	now = now.Add(30 * time.Minute)
	a.b.before("Move", func() {
		_, renewed := a.get("/who", id)
		require.NotEmpty(t, renewed)
		a.b.before("Move", func() { a.get("/flush", renewed) })
	})
	_, last := a.get("/again", id)
	rec, _ := a.get("/who", last)
	require.Equal(t, "42", rec.Body.String())
	list, err := a.m.Sessions(t.Context(), "42")
	require.NoError(t, err)
	assert.Len(t, list, 1)
	require.NoError(t, a.m.EndAll(t.Context(), "42"))
	rec, _ = a.get("/who", last)
	assert.Equal(t, "<nil>", rec.Body.String(), "it has escaped")
}

// TestListIsEvicted removes an owner's list, as Redis may when its memory is full, while the
// sessions on it go on. Each is listed again the next time that it slides, by reading or by
// writing, and looking costs one call in a twentieth of the idle timeout.
func TestListIsEvicted(t *testing.T) {
	for _, path := range []string{"/who", "/count"} {
		t.Run(strings.TrimPrefix(path, "/"), func(t *testing.T) {
			now := time.Now()
			a := newUserApp(t, nil, func(o *session.Options) { hook.SetClock(o, func() time.Time { return now }) })
			a.Get("/count", func(s session.Session) { session.Update(s, "n", func(n int) int { return n + 1 }) })
			_, id := a.get("/in", "")
			a.b.mu.Lock()
			for key := range a.b.records {
				if key != id {
					delete(a.b.records, key)
				}
			}
			a.b.mu.Unlock()
			list, err := a.m.Sessions(t.Context(), "42")
			require.NoError(t, err)
			require.Empty(t, list)

			for range 8 {
				now = now.Add(time.Minute)
				a.get(path, id)
			}
			list, err = a.m.Sessions(t.Context(), "42")
			require.NoError(t, err)
			assert.Len(t, list, 1)

			before := a.b.calls.Load()
			for range 60 {
				now = now.Add(time.Minute)
				a.get(path, id)
			}
			least := map[string]int64{"/who": 60, "/count": 120}[path] // 20 of those that read also slide.
			assert.LessOrEqual(t, a.b.calls.Load()-before, least+20+21, "calls")
			require.NoError(t, a.m.EndAll(t.Context(), "42"))
			rec, _ := a.get("/who", id)
			assert.Equal(t, "<nil>", rec.Body.String())
		})
	}
}

// TestLeavesAnEvictedList has a session become nobody's whose owner's list was removed. It is not
// put on the list again for that.
func TestLeavesAnEvictedList(t *testing.T) {
	now := time.Now().Truncate(3 * time.Minute).Add(2 * time.Minute) // The lists are looked at every 3 minutes.
	a := newUserApp(t, nil, func(o *session.Options) { hook.SetClock(o, func() time.Time { return now }) })
	a.Get("/flush", func(s session.Session) { s.Flush() })
	_, id := a.get("/in", "")
	evict := func() (n int) {
		a.b.mu.Lock()
		defer a.b.mu.Unlock()
		for key := range a.b.records {
			if key != id {
				delete(a.b.records, key)
				n++
			}
		}
		return n
	}
	require.Equal(t, 1, evict())
	now = now.Add(2 * time.Minute)
	rec, _ := a.get("/flush", id)
	assert.Equal(t, http.StatusOK, rec.Code)
	assert.Zero(t, evict(), "there is a list again")
}
