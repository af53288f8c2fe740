package session

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/sessionid"
	"github.com/flamego/session/internal/txn"
)

var _ Session = (*BaseSession)(nil)

// BaseSession implements basic operations for the session data. Use it for a Store of your
// own. Its methods may be called concurrently.
type BaseSession struct {
	lock    sync.RWMutex
	sid     string
	data    Data
	changed bool
	newID   int // the length of new IDs, 0 for that of the old one

	encoder  Encoder
	idWriter IDWriter
}

// IDWriter is a function that writes the session ID to client (browser).
type IDWriter func(w http.ResponseWriter, r *http.Request, sid string)

// NewBaseSession returns a new BaseSession with given session ID. A nil encoder means
// GobEncoder. With a nil idWriter, the client is not told of a new ID.
func NewBaseSession(sid string, encoder Encoder, idWriter IDWriter) *BaseSession {
	return NewBaseSessionWithData(sid, encoder, idWriter, nil)
}

// NewBaseSessionWithData returns a new BaseSession with given session ID and initial data,
// which belongs to the session from then on.
func NewBaseSessionWithData(sid string, encoder Encoder, idWriter IDWriter, data Data) *BaseSession {
	if data == nil {
		data = make(Data)
	}
	if encoder == nil {
		encoder = GobEncoder
	}
	return &BaseSession{sid: sid, data: data, encoder: encoder, idWriter: idWriter}
}

// setIDLength is promoted to an application's session that embeds one.
func (s *BaseSession) setIDLength(n int) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.newID = n
}

// ID returns the session ID.
func (s *BaseSession) ID() string {
	s.lock.RLock()
	defer s.lock.RUnlock()
	return s.sid
}

// RegenerateID gives the session a new ID and tells the client. The new ID is as long as the
// old one, or in a request as long as Options.IDLength says. Moving the record is up to the
// Store.
func (s *BaseSession) RegenerateID(w http.ResponseWriter, r *http.Request) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	if err := checkID(s.sid); err != nil {
		return err
	}
	s.sid = sessionid.New(cmp.Or(s.newID, len(s.sid)))
	if s.idWriter != nil {
		s.idWriter(w, r, s.sid)
	}
	return nil
}

// Get returns the value of given key, or nil.
func (s *BaseSession) Get(key interface{}) interface{} {
	s.lock.RLock()
	defer s.lock.RUnlock()
	return s.data[key]
}

// Set sets the value of given key.
func (s *BaseSession) Set(key, val interface{}) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.changed = true
	s.data[key] = val
}

// SetFlash sets the flash for the next request.
func (s *BaseSession) SetFlash(val interface{}) {
	s.Set(txn.FlashKey, val)
}

// Delete deletes a key.
func (s *BaseSession) Delete(key interface{}) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.changed = true
	delete(s.data, key)
}

// Flush wipes out all existing data.
func (s *BaseSession) Flush() {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.changed = true
	s.data = make(Data)
}

// Encode encodes session data to binary.
func (s *BaseSession) Encode() ([]byte, error) {
	s.lock.RLock()
	defer s.lock.RUnlock()
	return s.encoder(s.data)
}

// HasChanged returns whether the session has changed since it was created.
func (s *BaseSession) HasChanged() bool {
	s.lock.RLock()
	defer s.lock.RUnlock()
	return s.changed
}

func (s *BaseSession) values() *txn.Values {
	s.lock.RLock()
	defer s.lock.RUnlock()
	return txn.ValuesOf(s.data)
}

// ErrMinimumSIDLength is returned by a Store for an ID of fewer than three characters.
var ErrMinimumSIDLength = fmt.Errorf("session: the ID is shorter than %d characters", driver.MinIDLength)

var errInvalidID = errors.New("session: the ID has characters other than 0-9 and a-z, or too many of them")

// checkID returns an error if an application passes what cannot be an ID.
func checkID(id string) error {
	switch {
	case len(id) < driver.MinIDLength:
		return ErrMinimumSIDLength
	case !driver.ValidID(id):
		return errInvalidID
	}
	return nil
}
