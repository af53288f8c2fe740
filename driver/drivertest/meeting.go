package drivertest

import (
	"encoding/gob"
	"encoding/json"
	"sync"
	"time"
)

func init() { gob.Register(meeting{}); gob.Register(interlude{}) }

// meeting is a value that makes requests overlap: decoding it waits until so
// many requests of the process are decoding it. They have all loaded the same
// version then, and none has changed it yet, which is when a flash could be
// taken twice. In a store that decodes nothing it does nothing.
type meeting struct {
	Text  string
	Name  string
	Heads int
}

func (m meeting) String() string { return m.Text }

type meetingData meeting // without the methods

func (m meeting) GobEncode() ([]byte, error) { return json.Marshal(meetingData(m)) }

func (m *meeting) GobDecode(b []byte) error {
	if err := json.Unmarshal(b, (*meetingData)(m)); err != nil {
		return err
	}
	if m.Heads > 1 {
		meet(m.Name, m.Heads)
	}
	return nil
}

var meetings = struct {
	mu    sync.Mutex
	heads map[string]int
	full  map[string]chan struct{}
}{heads: make(map[string]int), full: make(map[string]chan struct{})}

func meet(name string, heads int) {
	meetings.mu.Lock()
	full := meetings.full[name]
	if full == nil {
		full = make(chan struct{})
		meetings.full[name] = full
	}
	if meetings.heads[name]++; meetings.heads[name] == heads {
		close(full)
	}
	meetings.mu.Unlock()
	select {
	case <-full:
	case <-time.After(200 * time.Millisecond): // Some came too late to meet: they found no flash.
	}
}

// interlude is a value that has something happen between the load of a request and
// whatever that does next: decoding it runs the function that the test has left
// under the name, once. In a store that decodes nothing it does nothing.
type interlude struct{ Name string }

func (i interlude) GobEncode() ([]byte, error) { return []byte(i.Name), nil }

func (i *interlude) GobDecode(b []byte) error {
	i.Name = string(b)
	if fn, ok := interludes.LoadAndDelete(i.Name); ok {
		fn.(func())()
	}
	return nil
}

var interludes sync.Map
