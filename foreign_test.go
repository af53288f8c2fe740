package session_test

import (
	"context"
	"sync"
	"testing"

	"github.com/flamego/session"
	"github.com/flamego/session/sessiontest"
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
	sessiontest.Suite{
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
