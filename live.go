package session

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync"
)

// liveSession is a session in use, by a request or by a caller of Store.Read: a
// snapshot, and the changes that were made to it since.
type liveSession struct {
	store *store
	req   *request // nil outside of a request

	committing sync.Mutex // one commit at a time; taken before mu

	mu       sync.Mutex // never held while waiting for a store or running foreign code
	id       string     // the ID of the record, or of the one to be; "" if open yet
	base     snapshot   // what is stored
	stored   bool       // there is a record
	asked    bool       // a record is wanted, even an empty one
	fresh    bool       // the same, by RegenerateID
	newID    string     // the ID that the record is to move to
	ended    string     // the ID of a record to be removed
	pending  changes    // made since the last commit
	inflight *changes   // being committed right now
	edits    int        // counts changes, for Update
	moved    bool       // base is another since pending was made: its Updates are to be done anew
	lives    int        // counts the sessions that this one has been, for a commit under way
	refused  error      // why something that was set cannot be stored; every commit returns it
	parted   changes    // made before the Store was told to destroy the session
	changed  bool
	lost     bool // it was ended elsewhere: the client may hold a newer one
	revoked  bool // the same, and nothing takes its place
	used     bool // a handler looked at it: the response hangs on the cookie
	linked   bool // a URL in the response holds the ID
	late     bool // the response has started
	refresh  bool // the commit comes with a response that refreshes the cookie
}

var _ Session = (*liveSession)(nil)

func (s *liveSession) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = true
	if s.newID != "" {
		return s.newID
	}
	if s.id == "" {
		s.id = s.freshID()
	}
	if !s.stored {
		s.asked = true
	}
	return s.id
}

func (s *liveSession) freshID() string {
	if s.req != nil {
		return s.req.m.newID()
	}
	return newID(defaultIDLength)
}

func (s *liveSession) RegenerateID(w http.ResponseWriter, r *http.Request) error {
	if s.req != nil && s.req.started() {
		return errors.New("session: regenerate ID: the response has started, so the client can't be told: call it before writing")
	}
	removes := s.removes(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = true
	switch {
	case !s.stored:
		s.id, s.asked, s.fresh, s.revoked = s.freshID(), true, true, false
		if !s.parted.empty() {
			s.parted.then(&s.pending)
			s.pending, s.parted = s.parted, changes{}
		}
	case s.base.foreign != nil:
		id, err := regenerateForeign(s.base.foreign, r)
		if err != nil {
			return err
		}
		s.newID, s.base.left = id, removes
	default:
		s.newID = s.freshID()
	}
	s.changed = true
	return nil
}

// removes is asked of a Store that is not ours, see foreignEngine.removes.
func (s *liveSession) removes(r *http.Request) bool {
	e, ok := s.store.engine.(*foreignEngine)
	if !ok {
		return false
	}
	s.mu.Lock()
	id := s.id
	s.mu.Unlock()
	return e.removes(r.Context(), id)
}

func (s *liveSession) Get(key interface{}) interface{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = true
	val, _ := s.view().get(key)
	return val
}

// view is the session as this request sees it. It needs mu.
func (s *liveSession) view() view { return view{s} }

type view struct{ s *liveSession }

func (v view) get(key any) (any, bool) {
	if val, known := v.s.pending.get(key); known {
		return val, val != nil
	}
	if v.s.inflight != nil {
		if val, known := v.s.inflight.get(key); known {
			return val, val != nil
		}
	}
	return v.s.base.get(key)
}

func (s *liveSession) Set(key, val interface{}) {
	if !s.refuse(key) {
		s.set(key, val)
	}
}

// refuse remembers that a key of the library's own was to be changed. There is
// nobody to return an error to, so that nothing is stored any more.
func (s *liveSession) refuse(key any) bool {
	err := ownKeyError(key)
	if err == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used, s.changed, s.refused = true, true, err
	return true
}

func (s *liveSession) set(key, val any) {
	mustCompare(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.edit().set(key, val)
}

// edit returns the changes for another one to be added. It needs mu.
func (s *liveSession) edit() *changes {
	s.used, s.changed = true, true
	s.edits++
	return &s.pending
}

func mustCompare(key any) {
	if _, ok := key.(string); ok {
		return
	}
	if key != nil && !reflect.ValueOf(key).Comparable() {
		panic(fmt.Sprintf("session: Set: a key of type %T can't be compared: use a string", key))
	}
}

func (s *liveSession) SetFlash(val interface{}) {
	s.Set(flashKey, val)
}

func (s *liveSession) Delete(key interface{}) {
	if !s.refuse(key) {
		s.remove(key)
	}
}

func (s *liveSession) remove(key any) {
	mustCompare(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	// A change that came to nothing so far could come to something on a newer version.
	untouched := s.pending.find(key) == nil && (s.inflight == nil || s.inflight.find(key) == nil)
	if _, ok := s.view().get(key); !ok && untouched {
		s.used, s.changed = true, true
		return // Nothing to delete, nothing to store.
	}
	s.edit().remove(key)
}

func (s *liveSession) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.edit().flush()
}

// update is Update without types. fn runs without a lock, since it may well use
// the session; when something changed meanwhile it runs again.
func (s *liveSession) update(key any, fn func(any) any) any {
	mustCompare(key)
	if s.refuse(key) {
		return s.Get(key)
	}
	for {
		s.mu.Lock()
		old, _ := s.view().get(key)
		edits := s.edits
		s.mu.Unlock()

		val := fn(old)

		s.mu.Lock()
		if s.edits == edits {
			s.edit().update(key, fn, val)
			s.mu.Unlock()
			return val
		}
		s.mu.Unlock()
	}
}

// destroy ends the session with the next commit. What is set after it starts a
// new one.
func (s *liveSession) destroy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stored {
		s.ended = s.id
	}
	s.forget()
	s.used, s.changed, s.revoked = true, true, false
}

// part is destroy for the Store that handlers get. Handlers written for v1.6.6
// destroy the old session there when they ask for a new ID, before or after: what
// they have set goes along then.
func (s *liveSession) part() {
	s.mu.Lock()
	left := s.pending
	s.mu.Unlock()
	s.destroy()
	s.mu.Lock()
	s.parted = left
	s.mu.Unlock()
}

// forget makes the session that of a visitor who has none. It needs mu.
func (s *liveSession) forget() {
	s.id, s.newID, s.base, s.stored, s.asked = "", "", snapshot{}, false, false
	s.fresh = false
	s.pending, s.parted, s.inflight, s.moved, s.refused = changes{}, changes{}, nil, false, nil
	s.lives++
	s.edits++
}

func (s *liveSession) Encode() ([]byte, error) {
	s.mu.Lock()
	base, ch := s.base, s.pending
	if s.inflight != nil {
		all := *s.inflight
		all.list = append([]change(nil), all.list...)
		all.then(&s.pending)
		ch = all
	}
	ch.list = append([]change(nil), ch.list...)
	s.mu.Unlock()
	b, err := s.store.encode(base, &ch)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	return b, nil
}

func (s *liveSession) HasChanged() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}
