package drivertest_test

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/flamego/session"
)

// revisions is a storage system as etcd or NATS JetStream are: each entry has a
// revision, and can be changed or removed if that is still the one that was read.
type revisions struct {
	mu      sync.Mutex
	entries map[string]entry
	last    uint64
}

type entry struct {
	data     []byte
	expiry   time.Time
	revision uint64
}

func newRevisions() *revisions { return &revisions{entries: make(map[string]entry)} }

func (s *revisions) get(id string) (entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[id]
	return e, ok
}

// put stores an entry if what is there has the revision, 0 for nothing.
func (s *revisions) put(id string, e entry, revision uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[id].revision != revision {
		return false
	}
	s.last++
	e.revision = s.last
	s.entries[id] = e
	return true
}

func (s *revisions) remove(id string, revision uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[id].revision != revision {
		return false
	}
	delete(s.entries, id)
	return true
}

// force and purge ask for no revision.
func (s *revisions) force(id string, e entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	e.revision = s.last
	s.entries[id] = e
}

func (s *revisions) purge(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, id)
}

func (s *revisions) list() map[string]entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]entry, len(s.entries))
	for id, e := range s.entries {
		all[id] = e
	}
	return all
}

func (b *revisionBackend) key(id string) string {
	if n, err := strconv.Atoi(id); err == nil && b.is("IDs that look like numbers are numbers") {
		return strconv.Itoa(n)
	}
	if b.is("IDs are cut off at 64 characters") {
		return id[:min(64, len(id))]
	}
	return id
}

func (b *revisionBackend) entry(r session.Record) entry {
	e := entry{data: bytes.Clone(r.Data), expiry: r.Expiry}
	switch b.mutant {
	case "data are cut off at 64 KiB":
		e.data = e.data[:min(64<<10, len(e.data))]
	case "data are text":
		e.data = []byte(strings.ToValidUTF8(string(r.Data), "?"))
	case "the caller's bytes are kept":
		e.data = r.Data
	case "an expiry is rounded up":
		e.expiry = r.Expiry.Add(time.Second - 1).Truncate(time.Second)
	case "an expiry is cut to seconds":
		e.expiry = r.Expiry.Truncate(time.Second)
	case "an expiry ends in 2038":
		if end := time.Unix(1<<31-1, 0); r.Expiry.After(end) {
			e.expiry = end
		}
	}
	return e
}

// same tells whether an entry is what the caller has seen.
func (b *revisionBackend) same(e entry, old session.Record) bool {
	switch {
	case old.Version != nil && b.is("a version is taken for the data"):
		return true
	case old.Version != nil:
		return e.revision == old.Version
	case b.is("prefixes are the same"):
		return bytes.HasPrefix(e.data, old.Data)
	case b.is("case makes no difference"):
		return strings.EqualFold(string(e.data), string(old.Data))
	case b.is("nil is not empty") && (e.data == nil) != (old.Data == nil):
		return false
	}
	return bytes.Equal(e.data, old.Data)
}
