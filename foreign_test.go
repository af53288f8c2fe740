package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/driver/drivertest"
)

// plainStore is a Store as applications wrote them for v1.6.6: no
// compare-and-swap, everything encoded on Save.
type plainStore struct {
	mu       sync.Mutex
	rows     map[string][]byte
	idWriter session.IDWriter
}

func (s *plainStore) Exist(_ context.Context, sid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.rows[sid]
	return ok
}

func (s *plainStore) Read(_ context.Context, sid string) (session.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, ok := s.rows[sid]
	if !ok {
		return session.NewBaseSession(sid, session.GobEncoder, s.idWriter), nil
	}
	data, err := session.GobDecoder(row)
	if err != nil {
		return nil, err
	}
	return session.NewBaseSessionWithData(sid, session.GobEncoder, s.idWriter, data), nil
}

func (s *plainStore) Destroy(_ context.Context, sid string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows, sid)
	return nil
}

func (s *plainStore) Touch(context.Context, string) error { return nil }

func (s *plainStore) Save(_ context.Context, sess session.Session) error {
	row, err := sess.Encode()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[sess.ID()] = row
	return nil
}

func (s *plainStore) GC(context.Context) error { return nil }

// TestForeignStore runs what a Store of this kind can promise.
func TestForeignStore(t *testing.T) {
	drivertest.Suite{
		ForeignStore: true,
		Open: func(*testing.T) func() session.Options {
			shared := &plainStore{rows: make(map[string][]byte)}
			return func() session.Options {
				return session.Options{Initer: func(_ context.Context, args ...interface{}) (session.Store, error) {
					for _, arg := range args {
						if w, ok := arg.(session.IDWriter); ok {
							shared.idWriter = w
						}
					}
					return shared, nil
				}}
			}
		},
	}.Run(t)
}

// foreignApp is an application with such a Store. A request to /rotate waits, between
// RegenerateID and its end, for the test to do something.
func foreignApp(t *testing.T) (a *app, store *plainStore, meanwhile *func()) {
	store, meanwhile = &plainStore{rows: make(map[string][]byte)}, new(func())
	a = newApp(t, func(o *session.Options) {
		o.Initer = func(context.Context, ...interface{}) (session.Store, error) { return store, nil }
	})
	a.Get("/set/{key}", func(c flamego.Context, s session.Session) { s.Set(c.Param("key"), 1) })
	a.Get("/get/{key}", func(c flamego.Context, s session.Session) string { return fmt.Sprint(s.Get(c.Param("key"))) })
	a.Get("/destroy", func(s session.Session) { session.Destroy(s) })
	a.Get("/rotate", func(c flamego.Context, s session.Session) error {
		err := s.RegenerateID(c.ResponseWriter(), c.Request().Request)
		if fn := *meanwhile; fn != nil {
			*meanwhile = nil
			fn()
		}
		return err
	})
	return a, store, meanwhile
}

// TestForeignRotation has another request come between RegenerateID and the response,
// on a Store without compare-and-swap: its change goes along (G4), its sign-out holds
// (G6), and of two rotations one wins (G7).
func TestForeignRotation(t *testing.T) {
	t.Run("change", func(t *testing.T) {
		a, _, meanwhile := foreignApp(t)
		_, id := a.get("/set/k", "")
		*meanwhile = func() { a.get("/set/other", id) }
		_, moved := a.get("/rotate", id)
		for _, key := range []string{"k", "other"} {
			rec, _ := a.get("/get/"+key, moved)
			assert.Equal(t, "1", rec.Body.String(), key)
		}
	})
	for _, path := range []string{"/destroy", "/rotate"} {
		t.Run(path, func(t *testing.T) {
			a, store, meanwhile := foreignApp(t)
			_, id := a.get("/set/k", "")
			*meanwhile = func() { a.get(path, id) }
			_, moved := a.get("/rotate", id)
			assert.Empty(t, moved)
			if path == "/destroy" {
				assert.Empty(t, store.rows)
			} else {
				assert.Len(t, store.rows, 1, "two copies")
			}
		})
	}
}

// TestForeignRotationBesideCommit has two goroutines of a handler rotate and store the
// session at the same time.
func TestForeignRotationBesideCommit(t *testing.T) {
	a, _, _ := foreignApp(t)
	a.Get("/both", func(c flamego.Context, s session.Session) {
		var wg sync.WaitGroup
		wg.Go(func() { assert.NoError(t, s.RegenerateID(c.ResponseWriter(), c.Request().Request)) })
		wg.Go(func() { assert.NoError(t, session.Commit(c.Request().Context(), s)) })
		wg.Wait()
	})
	_, id := a.get("/set/k", "")
	for range 100 {
		_, id = a.get("/both", id)
		rec, _ := a.get("/get/k", id)
		assert.Equal(t, "1", rec.Body.String())
	}
}

// TestForeignLoadFails fails to load a session. Nobody holds it afterwards: what destroys
// it and goes on with a new ID, as with v1.6.6, does not count as ended by another request.
func TestForeignLoadFails(t *testing.T) {
	a, _, _ := foreignApp(t)
	a.Get("/in", func(c flamego.Context, s session.Session, store session.Store) error {
		ctx := c.Request().Context()
		err := errors.Join(store.Destroy(ctx, s.ID()), s.RegenerateID(c.ResponseWriter(), c.Request().Request))
		s.Set("user", 1)
		return err
	})
	_, id := a.get("/set/k", "")
	req := httptest.NewRequest(http.MethodGet, "/get/k", nil).WithContext(overWhileLoading{t.Context()})
	req.Header.Set("Cookie", "flamego_session="+id)
	rec := httptest.NewRecorder()
	a.ServeHTTP(rec, req)
	require.Equal(t, http.StatusInternalServerError, rec.Code)
	_, moved := a.get("/in", id)
	rec, _ = a.get("/get/user", moved)
	assert.Equal(t, "1", rec.Body.String())
}

// overWhileLoading is the context of a request whose deadline passes meanwhile. The
// middleware looks only afterwards.
type overWhileLoading struct{ context.Context }

func (overWhileLoading) Err() error { return context.DeadlineExceeded }

// TestForeignSave has a handler save a new session by itself, as with v1.6.6.
func TestForeignSave(t *testing.T) {
	a, _, _ := foreignApp(t)
	a.Get("/save", func(c flamego.Context, s session.Session, store session.Store) error {
		s.Set("k", 1)
		return store.Save(c.Request().Context(), s)
	})
	rec, id := a.get("/save", "")
	assert.Equal(t, 200, rec.Code)
	rec, _ = a.get("/get/k", id)
	assert.Equal(t, "1", rec.Body.String())
}

// valueStore hands out sessions of a type that cannot be compared.
type valueStore struct{ *plainStore }

type valueSession struct {
	*session.BaseSession
	_ map[string]int
}

func (s valueStore) Read(ctx context.Context, sid string) (session.Session, error) {
	sess, err := s.plainStore.Read(ctx, sid)
	if err != nil {
		return nil, err
	}
	return valueSession{BaseSession: sess.(*session.BaseSession)}, nil
}

// TestForeignSessionByValue rotates a session that cannot be compared.
func TestForeignSessionByValue(t *testing.T) {
	a := newApp(t, func(o *session.Options) {
		o.Initer = func(context.Context, ...interface{}) (session.Store, error) {
			return valueStore{&plainStore{rows: make(map[string][]byte)}}, nil
		}
	})
	a.Get("/set", func(s session.Session) { s.Set("k", 1) })
	a.Get("/rotate", func(c flamego.Context, s session.Session) error {
		return s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	})
	a.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	_, id := a.get("/set", "")
	rec, moved := a.get("/rotate", id)
	assert.Equal(t, 200, rec.Code)
	rec, _ = a.get("/get", moved)
	assert.Equal(t, "1", rec.Body.String())
}

// TestForeignIDLength rotates a session that v1.6.6 has begun, under a short ID.
func TestForeignIDLength(t *testing.T) {
	a, store, _ := foreignApp(t)
	const old = "0123456789abcdef"
	row, err := session.GobEncoder(session.Data{"k": 1})
	assert.NoError(t, err)
	store.rows[old] = row
	_, id := a.get("/rotate", old)
	assert.Len(t, id, 32)
	rec, _ := a.get("/get/k", id)
	assert.Equal(t, "1", rec.Body.String())
}

// TestForeignFlashList has a Store whose encoding keeps no types hand back a list that
// AddFlash has left: it is still one.
func TestForeignFlashList(t *testing.T) {
	a, store, _ := foreignApp(t)
	a.Get("/show", func(s session.Session, f session.Flash) string { return fmt.Sprint(session.Flashes(s), f) })
	_, id := a.get("/set/k", "")
	row, err := session.GobEncoder(session.Data{"flamego::session::flash": []any{"one"}})
	assert.NoError(t, err)
	assert.NoError(t, a.m.Edit(t.Context(), id, func(s session.Session) error {
		store.rows[id] = row // Meanwhile.
		session.AddFlash(s, "two")
		return nil
	}))
	rec, _ := a.get("/show", id)
	assert.Equal(t, "[one two] [one two]", rec.Body.String())
}
