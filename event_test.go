package session_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

// eventList keeps events, those of store calls apart.
type eventList struct {
	mu            sync.Mutex
	events, calls []session.Event
}

func (l *eventList) add(_ context.Context, e session.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Op != "" {
		l.calls = append(l.calls, e)
	} else {
		l.events = append(l.events, e)
	}
}

// take returns what was added since the last time.
func (l *eventList) take() (events, calls []session.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	events, calls = l.events, l.calls
	l.events, l.calls = nil, nil
	return events, calls
}

// TestObserve goes through the life of sessions, and checks the events of each step.
func TestObserve(t *testing.T) {
	now := time.Now()
	var list eventList
	a := newUserApp(t, nil, func(o *session.Options) {
		o.Observe, o.MaxPerOwner, o.RenewEvery = list.add, 1, 30*time.Minute
		hook.SetClock(o, func() time.Time { return now })
	})
	step := func(path, id string, want ...session.EventKind) string {
		t.Helper()
		rec, sent := a.get(path, id)
		require.Equal(t, http.StatusOK, rec.Code)
		events, _ := list.take()
		var kinds []session.EventKind
		for _, e := range events {
			kinds = append(kinds, e.Kind)
			if id != "" {
				assert.NotContains(t, e.Session, id)
			}
			if e.Kind == session.Rotated || e.Kind == session.Renewed {
				assert.Equal(t, events[0].Session, e.Previous, "events of one session have to be found")
				assert.NotEqual(t, e.Session, e.Previous)
			}
			if e.Kind == session.Loaded && path != "/in" {
				assert.Equal(t, "42", e.Owner)
				assert.Len(t, e.Session, 16)
			}
		}
		assert.Equal(t, want, kinds, path)
		return sent
	}
	first := step("/in", "", session.Began)
	step("/who", first, session.Loaded)
	second := step("/rotate", first, session.Loaded, session.Rotated)
	step("/who", first, session.UnknownID)
	step("/who", "not an ID; at all", session.MalformedID)
	now = now.Add(30 * time.Minute)
	third := step("/who", second, session.Loaded, session.Renewed)
	fourth := step("/in", "", session.Evicted, session.Began)
	step("/who", third, session.UnknownID)
	step("/out", fourth, session.Loaded, session.Ended)
	fifth := step("/in", "", session.Began)
	require.NoError(t, a.m.EndAll(t.Context(), "42"))
	events, _ := list.take()
	require.Len(t, events, 1)
	assert.Equal(t, session.Ended, events[0].Kind)
	assert.Equal(t, "manager", events[0].By)
	assert.Equal(t, "42", events[0].Owner)
	step("/who", fifth, session.UnknownID)
	sixth := step("/in", "", session.Began)
	now = now.Add(2 * time.Hour)
	step("/who", sixth, session.Expired)
	a.b.expire(sixth, now.Add(time.Hour))
	a.b.mu.Lock()
	a.b.records[sixth] = session.Record{Data: []byte("garbage"), Expiry: now.Add(time.Hour)}
	a.b.mu.Unlock()
	step("/who", sixth, session.Undecodable)

	assert.Equal(t, session.Stats{
		Began: 4, Loaded: 4, Rotated: 1, Renewed: 1, Ended: 2, Evicted: 1, Expired: 1,
		UnknownIDs: 3, MalformedIDs: 1, Undecodable: 1,
	}, a.m.Stats())
}

// TestEventsNameTheSession checks that all events of a session have the same name for it,
// also that of an end by the owner's list, which has only hashes.
func TestEventsNameTheSession(t *testing.T) {
	for _, hash := range []bool{false, true} {
		var list eventList
		a := newUserApp(t, nil, func(o *session.Options) { o.Observe, o.HashIDs, o.MaxPerOwner = list.add, hash, 1 })
		_, old := a.get("/in", "")
		_, id := a.get("/rotate", old)
		events, _ := list.take()
		require.Len(t, events, 3)
		assert.Equal(t, events[0].Session, events[2].Previous)
		rotated := events[2]
		a.get("/who", id)
		a.get("/in", "")
		events, _ = list.take()
		require.Len(t, events, 3)
		events = append([]session.Event{rotated}, events...)
		assert.Equal(t, session.Evicted, events[2].Kind)
		assert.Equal(t, events[0].Session, events[1].Session)
		assert.Equal(t, events[0].Session, events[2].Session)
		require.NoError(t, a.m.EndAll(t.Context(), "42"))
		ended, _ := list.take()
		require.Len(t, ended, 1)
		assert.Equal(t, events[3].Session, ended[0].Session)
	}
}

// TestObserveStore checks the events of calls of the store.
func TestObserveStore(t *testing.T) {
	var list eventList
	a := newUserApp(t, nil, func(o *session.Options) { o.Observe = list.add })
	_, id := a.get("/set", "")
	a.get("/who", id)
	_, calls := list.take()
	var ops []string
	for _, c := range calls {
		ops = append(ops, c.Op)
		assert.Equal(t, session.StoreCall, c.Kind)
		assert.Positive(t, c.Duration)
	}
	assert.Equal(t, []string{"create", "load"}, ops)

	a.b.failReads.Store(true)
	rec, _ := a.get("/who", id)
	assert.Equal(t, http.StatusInternalServerError, rec.Code)
	_, calls = list.take()
	require.Len(t, calls, 1)
	assert.Equal(t, session.StoreError, calls[0].Kind)
	assert.ErrorIs(t, calls[0].Err, errDown)
	assert.EqualValues(t, 1, a.m.Stats().StoreErrors)
}

// TestObserveContext checks that the observer gets what the application has put into the
// request's context, also from a store that never waits.
func TestObserveContext(t *testing.T) {
	type key struct{}
	for name, initer := range map[string]session.Initer{
		"memory": session.MemoryIniter(), "backend": initer(newMapBackend(), session.StoreConfig{}),
	} {
		var seen []any
		m, err := session.NewManager(session.Options{
			Initer:  initer,
			Observe: func(ctx context.Context, _ session.Event) { seen = append(seen, ctx.Value(key{})) },
		})
		require.NoError(t, err)
		f := quietFlame()
		f.Use(m.Sessioner())
		f.Get("/", func(s session.Session) { s.Set("n", 1) })
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		f.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithValue(r.Context(), key{}, "mine")))
		assert.NotEmpty(t, seen, name)
		for _, v := range seen {
			assert.Equal(t, "mine", v, name)
		}
		require.NoError(t, m.Close(t.Context()))
	}
}

// TestObservePanics checks that an observer that panics fails no request.
func TestObservePanics(t *testing.T) {
	a := newUserApp(t, nil, func(o *session.Options) {
		o.Observe = func(context.Context, session.Event) { panic("as planned") }
	})
	rec, _ := a.get("/set", "")
	assert.Equal(t, http.StatusOK, rec.Code)
	assert.ErrorContains(t, a.errs.last(), "Options.Observe panicked: as planned")
}

// TestNoIDInEvents goes through what can happen to sessions, and looks for their IDs in all
// events and errors.
func TestNoIDInEvents(t *testing.T) {
	var list eventList
	now := time.Now()
	a := newUserApp(t, nil, func(o *session.Options) {
		o.Observe, o.RenewEvery = list.add, 30*time.Minute
		hook.SetClock(o, func() time.Time { return now })
	})
	a.Get("/own", func(s session.Session) { s.Set("flamego::session::owner", "eve") })
	a.Get("/channel", func(s session.Session) { s.Set("k", make(chan int)) })
	var out strings.Builder
	ids := make(map[string]bool)
	get := func(path, id string) string {
		a.errs.clear()
		_, sent := a.get(path, id)
		events, calls := list.take()
		_, _ = fmt.Fprintf(&out, "%s %+v %+v %v\n", path, events, calls, a.errs.last())
		if sent != "" {
			ids[sent] = true
		}
		return cmp.Or(sent, id)
	}
	id := get("/set", "")
	for _, path := range []string{"/who", "/in", "/rotate", "/own", "/channel", "/who"} {
		id = get(path, id)
	}
	now = now.Add(30 * time.Minute)
	renewed := get("/who", id)
	require.NotEqual(t, id, renewed)
	get("/who", id)
	a.b.failReads.Store(true)
	get("/who", renewed)
	a.b.failReads.Store(false)
	a.b.mu.Lock()
	for key, r := range a.b.records {
		a.b.records[key] = session.Record{Data: []byte("garbage"), Expiry: r.Expiry}
	}
	a.b.mu.Unlock()
	get("/who", renewed)
	get("/who", get("/set", "")+"; flamego_session="+get("/set", ""))
	get("/who", strings.Repeat("0", 32))
	for _, want := range []string{"load", "down", "library's own", "channel", "two live sessions"} {
		assert.Contains(t, out.String(), want)
	}
	require.GreaterOrEqual(t, len(ids), 6)
	ids[strings.Repeat("0", 32)] = true
	for id := range ids {
		assert.NotContains(t, out.String(), id)
	}
}

// TestManySignIns has one user sign in again and again, without a limit. It must not cost
// ever more, and what has ended must not pile up on the list.
func TestManySignIns(t *testing.T) {
	now := time.Now()
	a := newUserApp(t, nil, func(o *session.Options) { hook.SetClock(o, func() time.Time { return now }) })
	signIns := func(n int) int64 {
		before := a.b.calls.Load()
		for range n {
			rec, _ := a.get("/in", "")
			require.Equal(t, http.StatusOK, rec.Code)
		}
		return a.b.calls.Load() - before
	}
	signIns(100)
	assert.LessOrEqual(t, signIns(100), int64(100*3+128), "the sessions of each power of two are looked at once")
	list, err := a.m.Sessions(t.Context(), "42")
	require.NoError(t, err)
	assert.Len(t, list, 200)

	now = now.Add(2 * time.Hour)
	signIns(100)
	before := a.b.calls.Load()
	list, err = a.m.Sessions(t.Context(), "42")
	require.NoError(t, err)
	assert.Len(t, list, 100)
	assert.LessOrEqual(t, a.b.calls.Load()-before, int64(1+100), "the list has forgotten what has expired")
}

// TestEventNames checks that every kind has a name that fits a label.
func TestEventNames(t *testing.T) {
	seen := map[string]bool{}
	for k := session.Began; k <= session.StoreError; k++ {
		assert.NotEmpty(t, k.String())
		assert.Empty(t, strings.Trim(k.String(), "abcdefghijklmnopqrstuvwxyz_"))
		assert.False(t, seen[k.String()])
		seen[k.String()] = true
	}
	assert.Equal(t, "EventKind(99)", session.EventKind(99).String())
}
