package drivertest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

// lifetime is that of all sessions in the suite, unless the options of the
// backend say otherwise.
const lifetime = time.Hour

// clock is the time of a fleet in one process. It starts at the real time and
// only goes forward, so that storage systems which expire records by their own
// clock agree with it or are late, never early.
type clock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

// server is one server of a fleet.
type server struct {
	url   string
	name  string           // of the cookie
	probe *probe           // nil in another process
	m     *session.Manager // nil in another process
	errs  *errorLog        // what ErrorFunc was called with; nil in another process
}

// errorLog collects what went to ErrorFunc.
type errorLog struct {
	mu   sync.Mutex
	errs []error
}

func (l *errorLog) add(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
}

func (l *errorLog) all() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]error(nil), l.errs...)
}

// fleet is some servers that share a store.
type fleet struct {
	t     *testing.T
	open  func() session.Options
	clock *clock
	suite Suite
	again func() *process // starts a server in a process, where that is the point
	names int
	mu    sync.Mutex
}

// start adds a server in this process. change may be nil.
func (f *fleet) start(change func(*session.Options)) *server {
	f.t.Helper()
	opt := f.open()
	s := &server{probe: newProbe(), errs: &errorLog{}}
	if opt.ErrorFunc == nil {
		opt.ErrorFunc = s.errs.add
	}
	hook.SetClock(&opt, f.clock.now)
	if change != nil {
		change(&opt)
	}
	m, err := session.NewManager(opt)
	if err != nil {
		f.t.Fatalf("a server of the fleet does not start: %v", err)
	}
	s.m = m
	srv := httptest.NewUnstartedServer(s.probe.handler(m))
	if opt.Cookie.Secure {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	s.url = srv.URL
	for _, c := range hook.Carriers(m) {
		if c.Vary == "Cookie" {
			s.name = hook.Cookie(m).Name
		}
	}
	f.t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		if err := m.Close(context.Background()); err != nil {
			f.t.Errorf("Manager.Close: %v", err)
		}
	})
	return s
}

// name returns a fresh name, for a barrier or a function.
func (f *fleet) name() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names++
	return fmt.Sprint("n", f.names)
}

// visitor is a browser: it keeps cookies, and shows them to every server, since
// cookies know no ports. It does not follow redirects by itself. It is no
// webclient.Browser, for which a request without an answer is a failure: here it is
// for the rule to judge, and an answer can be looked at before it ends.
type visitor struct {
	t      *testing.T
	client *http.Client
}

// All servers are the test's own, so it need not look at their certificates.
var transport = &http.Transport{
	MaxIdleConnsPerHost: 128, DisableCompression: true,
	TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
}

func newVisitor(t *testing.T) *visitor {
	jar, _ := cookiejar.New(nil)
	return &visitor{t: t, client: &http.Client{
		Transport: transport, Jar: jar, Timeout: 60 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answer is a response, read to its end.
type answer struct {
	status int
	body   string
	header http.Header
	err    error
}

// cookie returns the ID that the answer sets, or "". Where clients keep the
// sessions it is the session.
func (a answer) cookie() string {
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if strings.HasSuffix(c.Name, "session") {
			return c.Value
		}
	}
	return ""
}

// get asks a server. args are the pairs of the query.
func (v *visitor) get(s *server, path string, args ...string) answer {
	res, err := v.send(context.Background(), s, path, args...)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return answer{status: res.StatusCode, body: string(body), header: res.Header, err: err}
}

// send returns as soon as the header is there.
func (v *visitor) send(ctx context.Context, s *server, path string, args ...string) (*http.Response, error) {
	q := make(url.Values)
	for i := 0; i+1 < len(args); i += 2 {
		q.Set(args[i], args[i+1])
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path+"?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	return v.client.Do(req)
}

// want gets a page and fails the test unless it answers 200 with the body.
func (v *visitor) want(r rule, s *server, want, path string, args ...string) answer {
	v.t.Helper()
	a := v.get(s, path, args...)
	if a.err != nil || a.status != http.StatusOK || a.body != want {
		r.broken(v.t, "%s %v: status %d, body %.200q, error %v; want %q", path, args, a.status, a.body, a.err, want)
	}
	return a
}

// ok gets a page and fails the test unless it answers 200.
func (v *visitor) ok(r rule, s *server, path string, args ...string) answer {
	v.t.Helper()
	a := v.get(s, path, args...)
	if a.err != nil || a.status != http.StatusOK {
		r.broken(v.t, "%s %v: status %d, body %.200q, error %v; want 200", path, args, a.status, a.body, a.err)
	}
	return a
}

// twin returns a visitor with the same cookies, such as a thief, or another tab
// that has not heard of new ones.
func (v *visitor) twin(s *server) *visitor {
	w := newVisitor(v.t)
	u, _ := url.Parse(s.url)
	w.client.Jar.SetCookies(u, v.client.Jar.Cookies(u))
	return w
}

// id returns the session ID in the visitor's cookie.
func (v *visitor) id(s *server) string {
	u, _ := url.Parse(s.url)
	for _, c := range v.client.Jar.Cookies(u) {
		if strings.HasSuffix(c.Name, "session") {
			return c.Value
		}
	}
	return ""
}

// stranger is a visitor with a cookie of its own making.
func stranger(t *testing.T, s *server, value string) *visitor {
	v := newVisitor(t)
	u, _ := url.Parse(s.url)
	v.client.Jar.SetCookies(u, []*http.Cookie{{Name: s.name, Value: value, Path: "/", Secure: strings.HasPrefix(s.url, "https")}})
	return v
}

// do runs a function in a handler of a server in this process.
func (v *visitor) do(f *fleet, s *server, fn func(call)) answer {
	return v.get(s, "/do", "fn", f.fn(s, fn))
}

// held is a request that waits in its handler, with its session loaded.
type held struct {
	server *server
	name   string
	answer chan answer
}

// hold starts a request and returns when its handler has been reached.
func (v *visitor) hold(f *fleet, s *server, path string, args ...string) *held {
	h := &held{server: s, name: f.name(), answer: make(chan answer, 1)}
	go func() { h.answer <- v.get(s, path, append(args, "hold", h.name)...) }()
	h.wait(v.t)
	return h
}

// wait returns when one more handler has reached the barrier.
func (h *held) wait(t *testing.T) {
	t.Helper()
	if a := newVisitor(t).get(h.server, "/arrived", "hold", h.name); a.status != http.StatusOK {
		t.Fatalf("a held request did not reach its handler: status %d, %s, %v", a.status, a.body, a.err)
	}
}

func (h *held) release(t *testing.T) {
	t.Helper()
	if a := newVisitor(t).get(h.server, "/release", "hold", h.name); a.status != http.StatusOK {
		t.Fatalf("a held request can't be released: status %d, %v", a.status, a.err)
	}
}

// finish lets the request go on, and returns its answer.
func (h *held) finish(t *testing.T) answer {
	t.Helper()
	h.release(t)
	return <-h.answer
}

// together runs n functions at the same time.
func together(n int, fn func(i int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			fn(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}
