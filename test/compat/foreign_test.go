package compat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// cacheStore is an application's own Store as they were written for v1.6.6: its
// records are encoded with the package's functions, its sessions BaseSessions.
type cacheStore struct {
	lifetime time.Duration
	encoder  session.Encoder
	decoder  session.Decoder
	idWriter session.IDWriter

	mu      sync.Mutex
	records map[string]record
}

type record struct {
	data  []byte
	until time.Time
}

// cacheConfig is its configuration.
type cacheConfig struct{ Lifetime time.Duration }

// cacheIniter looks through its arguments for what it needs, by their types.
func cacheIniter() session.Initer {
	return func(_ context.Context, args ...interface{}) (session.Store, error) {
		var cfg *cacheConfig
		var idWriter session.IDWriter
		for i := range args {
			switch v := args[i].(type) {
			case cacheConfig:
				cfg = &v
			case session.IDWriter:
				idWriter = v
			}
		}
		if cfg == nil || idWriter == nil {
			return nil, errors.New("no configuration or no IDWriter")
		}
		return &cacheStore{
			lifetime: cfg.Lifetime, encoder: session.GobEncoder, decoder: session.GobDecoder, idWriter: idWriter,
			records: make(map[string]record),
		}, nil
	}
}

func (s *cacheStore) get(sid string) (record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.records[sid]
	return r, ok && time.Now().Before(r.until)
}

func (s *cacheStore) Exist(_ context.Context, sid string) bool {
	_, ok := s.get(sid)
	return ok
}

func (s *cacheStore) Read(_ context.Context, sid string) (session.Session, error) {
	r, ok := s.get(sid)
	if !ok {
		return session.NewBaseSession(sid, s.encoder, s.idWriter), nil
	}
	data, err := s.decoder(r.data)
	if err != nil {
		return nil, err
	}
	return session.NewBaseSessionWithData(sid, s.encoder, s.idWriter, data), nil
}

func (s *cacheStore) Destroy(_ context.Context, sid string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, sid)
	return nil
}

func (s *cacheStore) Touch(_ context.Context, sid string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.records[sid]; ok {
		s.records[sid] = record{data: r.data, until: time.Now().Add(s.lifetime)}
	}
	return nil
}

func (s *cacheStore) Save(_ context.Context, sess session.Session) error {
	data, err := sess.Encode()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[sess.ID()] = record{data: data, until: time.Now().Add(s.lifetime)}
	return nil
}

func (s *cacheStore) GC(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sid, r := range s.records {
		if !time.Now().Before(r.until) {
			delete(s.records, sid)
		}
	}
	return nil
}

func (s *cacheStore) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.records)
}

// An own Store goes on working, and handlers may ask for it by its own type.
func TestOwnStore(t *testing.T) {
	m := manager(t, session.Options{Initer: cacheIniter(), Config: cacheConfig{Lifetime: time.Hour}})
	cache, ok := m.Store().(*cacheStore)
	require.True(t, ok, "the Store is a %T", m.Store())
	f := flame(m.Sessioner())
	f.Get("/nothing", func(s session.Session) string { return fmt.Sprint(s.Get("user")) })
	f.Get("/set", func(s session.Session) string {
		s.Set("user", "ann")
		s.SetFlash("hello")
		return s.ID()
	})
	f.Get("/show", func(flash session.Flash, s session.Session) string { return fmt.Sprintf("%v %v", flash, s.Get("user")) })
	f.Get("/rotate", func(c flamego.Context, s session.Session) (string, error) {
		err := s.RegenerateID(c.ResponseWriter(), c.Request().Request)
		return s.ID(), err
	})
	f.Get("/types", func(s *cacheStore, i session.Store, c flamego.Context, sess session.Session) string {
		return fmt.Sprint(s == i, i.Exist(c.Request().Context(), sess.ID()))
	})
	f.Get("/signout", func(c flamego.Context, s session.Session, store session.Store) error {
		return store.Destroy(c.Request().Context(), s.ID())
	})

	b := newTester(t, f)
	assert.Equal(t, page{status: http.StatusOK, body: "<nil>"}, b.get("/nothing"))
	assert.Zero(t, cache.count(), "a visitor who does nothing costs nothing")

	set := b.get("/set")
	require.NotNil(t, set.cookie)
	assert.Equal(t, set.cookie.Value, set.body)
	assert.Equal(t, "hello ann", b.get("/show").body)
	assert.Equal(t, "<nil> ann", b.get("/show").body)
	assert.Equal(t, "true true", b.get("/types").body)

	rotated := b.get("/rotate")
	require.Equal(t, http.StatusOK, rotated.status, rotated.body)
	require.NotNil(t, rotated.cookie)
	assert.Equal(t, rotated.cookie.Value, rotated.body)
	assert.NotEqual(t, set.body, rotated.body)
	assert.Equal(t, "<nil> ann", b.get("/show").body)
	assert.False(t, cache.Exist(t.Context(), set.body), "the old record is still there")
	assert.Equal(t, 1, cache.count())

	b.get("/signout")
	assert.Zero(t, cache.count())
	assert.Equal(t, "<nil>", b.get("/nothing").body)
}
