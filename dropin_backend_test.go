package session_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

type panickingSweep struct{ *mapBackend }

func (panickingSweep) DeleteExpired(context.Context, time.Time, int) (int, error) {
	panic("unavailable")
}

// contextBackend records the contexts of its calls.
type contextBackend struct {
	*mapBackend
	look func(ctx context.Context)
}

func (b contextBackend) Load(ctx context.Context, id string) (session.Record, error) {
	b.look(ctx)
	return b.mapBackend.Load(ctx, id)
}

func (b contextBackend) Replace(ctx context.Context, id string, old, r session.Record) error {
	b.look(ctx)
	return b.mapBackend.Replace(ctx, id, old, r)
}

// TestLoadOutlivesTheClient aborts requests: drivers close the connection of a
// cancelled query, so a flood of them would drain the pool.
func TestLoadOutlivesTheClient(t *testing.T) {
	b := contextBackend{mapBackend: newMapBackend()}
	var cancel context.CancelFunc
	b.look = func(ctx context.Context) {
		cancel()
		assert.NoError(t, ctx.Err())
		_, bounded := ctx.Deadline()
		assert.True(t, bounded)
	}
	a := newApp(t, func(o *session.Options) { o.Initer = initer(&b, session.StoreConfig{}) })
	a.Get("/", func(s session.Session) { s.Set("k", 1) })
	_, id := a.get("/", "")
	ctx, stop := context.WithCancel(t.Context())
	cancel = stop
	req := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx)
	req.Header.Set("Cookie", "flamego_session="+id)
	a.ServeHTTP(httptest.NewRecorder(), req)
	assert.Empty(t, a.errs.all())
}

// TestLoadAndFlashShareATimeout checks that a request waits StoreTimeout once for its
// session and the flash in it.
func TestLoadAndFlashShareATimeout(t *testing.T) {
	b := contextBackend{mapBackend: newMapBackend()}
	var ends []time.Time
	b.look = func(ctx context.Context) {
		end, _ := ctx.Deadline()
		ends = append(ends, end)
	}
	a := newApp(t, func(o *session.Options) { o.Initer = initer(&b, session.StoreConfig{}) })
	a.Get("/", func(s session.Session) { s.SetFlash("hello") })
	a.Get("/take", func(f session.Flash) string { return fmt.Sprint(f) })
	_, id := a.get("/", "")
	rec, _ := a.get("/take", id)
	assert.Equal(t, "hello", rec.Body.String())
	require.Len(t, ends, 2)
	assert.Equal(t, ends[0], ends[1])
}

// TestBadRecordIsReportedOnce makes several requests with a record that cannot be
// decoded.
func TestBadRecordIsReportedOnce(t *testing.T) {
	a := newApp(t)
	id := "0123456789abcdef0123456789abcdef"
	a.Get("/", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	spoil := func(data string) {
		a.b.records[id] = session.Record{Data: []byte(data), Expiry: time.Now().Add(time.Hour)}
	}
	spoil("garbage")
	for range 10 {
		rec, _ := a.get("/", id)
		assert.Equal(t, "<nil>", rec.Body.String())
	}
	assert.Len(t, a.errs.all(), 1)
	assert.EqualValues(t, 10, a.b.calls.Load(), "one read each")
	spoil("other garbage")
	a.get("/", id)
	assert.Len(t, a.errs.all(), 2)
}

// heldBackend blocks its writes until the test releases them.
type heldBackend struct {
	*mapBackend
	held, release chan struct{}
}

func (b *heldBackend) wait() {
	b.held <- struct{}{}
	<-b.release
}

func (b *heldBackend) Create(ctx context.Context, id string, r session.Record) error {
	b.wait()
	return b.mapBackend.Create(ctx, id, r)
}

// TestResponseWaitsForCommit returns from the handler while one of its goroutines
// commits: the response waits for the commit, and tells the client.
func TestResponseWaitsForCommit(t *testing.T) {
	b := &heldBackend{newMapBackend(), make(chan struct{}), make(chan struct{})}
	a := newApp(t, func(o *session.Options) { o.Initer = initer(b, session.StoreConfig{}) })
	result := make(chan error, 1)
	a.Get("/", func(s session.Session) {
		s.Set("k", 1)
		go func() { result <- session.Commit(context.Background(), s) }()
		<-b.held
		go func() { b.release <- struct{}{} }()
	})
	_, told := a.get("/", "")
	assert.NoError(t, <-result)
	assert.Contains(t, b.records, told)
}

// TestCommitOutlivesTheHandler commits in a goroutine for longer than the response may
// wait: the request fails, the header is left alone, and no record remains that nobody
// knows.
func TestCommitOutlivesTheHandler(t *testing.T) {
	b := &heldBackend{newMapBackend(), make(chan struct{}), make(chan struct{})}
	a := newApp(t, func(o *session.Options) {
		o.Initer, o.StoreTimeout = initer(b, session.StoreConfig{}), 50*time.Millisecond
	})
	result := make(chan error, 1)
	a.Get("/", func(s session.Session) {
		s.Set("k", 1)
		go func() { result <- session.Commit(context.Background(), s) }()
		<-b.held
	})
	rec, told := a.get("/", "")
	var wg sync.WaitGroup
	wg.Go(func() { // net/http goes through the header, without a lock.
		for range 1000 {
			_ = rec.Header().Clone()
		}
	})
	b.release <- struct{}{}
	assert.Error(t, <-result, "at its deadline, or because nobody could be told")
	wg.Wait()
	assert.Empty(t, told)
	assert.Empty(t, b.records)
}

// conflictBackend makes the first write of each session conflict, and blocks the first
// read after that.
type conflictBackend struct {
	*mapBackend
	on, held         atomic.Bool
	holding, release chan struct{}
	seen             sync.Map
}

func (b *conflictBackend) Replace(ctx context.Context, id string, old, r session.Record) error {
	if _, again := b.seen.Swap(id, true); b.on.Load() && !again {
		return session.ErrConflict
	}
	return b.mapBackend.Replace(ctx, id, old, r)
}

func (b *conflictBackend) Load(ctx context.Context, id string) (session.Record, error) {
	if _, conflicted := b.seen.Load(id); conflicted {
		if b.held.CompareAndSwap(false, true) {
			close(b.holding)
			<-b.release
		}
	}
	return b.mapBackend.Load(ctx, id)
}

// TestQueuesAreApart checks that while many sessions wait for a turn that one of them
// holds, only requests of that session wait.
func TestQueuesAreApart(t *testing.T) {
	conflicts := &conflictBackend{mapBackend: newMapBackend(), holding: make(chan struct{}), release: make(chan struct{})}
	slow := session.NewStore(conflicts, session.StoreConfig{})
	id := func(i int) string { return fmt.Sprintf("0123456789abcdef%016d", i) }
	save := func(i int) error {
		s, err := slow.Read(t.Context(), id(i))
		if err != nil {
			return err
		}
		s.Set("k", i)
		return slow.Save(t.Context(), s)
	}
	for i := range 200 {
		require.NoError(t, save(i))
	}
	conflicts.on.Store(true)
	first := make(chan error, 1)
	go func() { first <- save(0) }()
	<-conflicts.holding
	for i := 1; i < 200; i++ {
		require.NoError(t, save(i), "it waits for another session")
	}
	close(conflicts.release)
	require.NoError(t, <-first)
}

// TestHijack takes over the connection: the session is stored first, and the cookie is
// in the header.
func TestHijack(t *testing.T) {
	a := newApp(t)
	a.Get("/set", func(s session.Session) { s.Set("k", 1) })
	a.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	var rotated, hijacked error
	a.Get("/ws", func(c flamego.Context, s session.Session) {
		s.Set("k", "before")
		conn, rw, err := c.ResponseWriter().(http.Hijacker).Hijack()
		if hijacked = err; err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		rotated = s.RegenerateID(c.ResponseWriter(), c.Request().Request)
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\nConnection: Upgrade\r\nSet-Cookie: " +
			c.ResponseWriter().Header().Get("Set-Cookie") + "\r\n\r\n")
		_ = rw.Flush()
		s.Set("k", "after")
	})
	srv := httptest.NewServer(a)
	defer srv.Close()
	ask := func() *http.Response {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		_, _ = fmt.Fprint(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		return res
	}
	res := ask()
	require.NoError(t, hijacked)
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	require.Len(t, res.Cookies(), 1)
	assert.Error(t, rotated)
	require.Eventually(t, func() bool {
		rec, _ := a.get("/get", res.Cookies()[0].Value)
		return rec.Body.String() == "after"
	}, 10*time.Second, time.Millisecond)

	a.b.fail.Store(true)
	res = ask()
	assert.Error(t, hijacked)
	assert.Equal(t, http.StatusInternalServerError, res.StatusCode)
	assert.Empty(t, res.Cookies())
}
