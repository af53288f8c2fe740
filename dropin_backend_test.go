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

// TestLoadOutlivesTheClient aborts requests: drivers close the connection of a
// cancelled query, so a flood of them would drain the pool.
func TestLoadOutlivesTheClient(t *testing.T) {
	a := newApp(t)
	a.Get("/", func(s session.Session) { s.Set("k", 1) })
	_, id := a.get("/", "")
	ctx, cancel := context.WithCancel(t.Context())
	a.b.around = func(ctx context.Context, _, _ string, do func() error) error {
		cancel()
		assert.NoError(t, ctx.Err())
		_, bounded := ctx.Deadline()
		assert.True(t, bounded)
		return do()
	}
	req := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx)
	req.Header.Set("Cookie", "flamego_session="+id)
	a.ServeHTTP(httptest.NewRecorder(), req)
	assert.Empty(t, a.errs.all())
}

// TestLoadAndFlashShareATimeout checks that a request waits StoreTimeout once for its
// session and the flash in it.
func TestLoadAndFlashShareATimeout(t *testing.T) {
	a := newApp(t)
	a.Get("/", func(s session.Session) { s.SetFlash("hello") })
	a.Get("/take", func(f session.Flash) string { return fmt.Sprint(f) })
	_, id := a.get("/", "")
	var ends []time.Time
	a.b.around = func(ctx context.Context, _, _ string, do func() error) error {
		end, _ := ctx.Deadline()
		ends = append(ends, end)
		return do()
	}
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

// holdCreate blocks the next Create, once it has said so, until it is released.
func (a *app) holdCreate() (held, release chan struct{}) {
	held, release = make(chan struct{}), make(chan struct{})
	a.b.before("Create", func() {
		held <- struct{}{}
		<-release
	})
	return held, release
}

// TestResponseWaitsForCommit returns from the handler while one of its goroutines
// commits: the response waits for the commit, and tells the client.
func TestResponseWaitsForCommit(t *testing.T) {
	a := newApp(t)
	held, release := a.holdCreate()
	result := make(chan error, 1)
	a.Get("/", func(s session.Session) {
		s.Set("k", 1)
		go func() { result <- session.Commit(context.Background(), s) }()
		<-held
		go func() { release <- struct{}{} }()
	})
	_, told := a.get("/", "")
	assert.NoError(t, <-result)
	assert.Contains(t, a.b.records, told)
}

// TestCommitOutlivesTheHandler commits in a goroutine for longer than the response may
// wait: the request fails, the header is left alone, and no record remains that nobody
// knows.
func TestCommitOutlivesTheHandler(t *testing.T) {
	a := newApp(t, func(o *session.Options) { o.StoreTimeout = 50 * time.Millisecond })
	held, release := a.holdCreate()
	result := make(chan error, 1)
	a.Get("/", func(s session.Session) {
		s.Set("k", 1)
		go func() { result <- session.Commit(context.Background(), s) }()
		<-held
	})
	rec, told := a.get("/", "")
	var wg sync.WaitGroup
	wg.Go(func() { // net/http goes through the header, without a lock.
		for range 1000 {
			_ = rec.Header().Clone()
		}
	})
	release <- struct{}{}
	assert.Error(t, <-result, "at its deadline, or because nobody could be told")
	wg.Wait()
	assert.Empty(t, told)
	assert.Empty(t, a.b.records)
}

// TestQueuesAreApart checks that while many sessions wait for a turn that one of them
// holds, only requests of that session wait.
func TestQueuesAreApart(t *testing.T) {
	b := newFaultyBackend()
	slow := session.NewStore(b, session.StoreConfig{})
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
	// The first write of each session conflicts; the first read after that is held.
	var conflicted sync.Map
	var held atomic.Bool
	holding, release := make(chan struct{}), make(chan struct{})
	b.around = func(_ context.Context, method, id string, do func() error) error {
		switch _, again := conflicted.Load(id); {
		case method == "Load" && again:
			if held.CompareAndSwap(false, true) {
				close(holding)
				<-release
			}
		case method == "Replace" && !again:
			conflicted.Store(id, true)
			return session.ErrConflict
		}
		return do()
	}
	first := make(chan error, 1)
	go func() { first <- save(0) }()
	<-holding
	for i := 1; i < 200; i++ {
		require.NoError(t, save(i), "it waits for another session")
	}
	close(release)
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
