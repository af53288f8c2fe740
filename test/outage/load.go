// Package outage makes real servers fail under load, and checks what clients get
// to see. It is a module of its own, since that takes minutes.
package outage

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/wait"
	"github.com/flamego/session/internal/webclient"
)

const (
	clients = 8
	// storeTimeout is the default of Options.StoreTimeout.
	storeTimeout = 5 * time.Second
	// slack is what a request may take beyond it: two machines' worth of load on two
	// cores, and a commit after a load.
	slack = 3 * time.Second
)

// load is an application and the clients that use it all the time.
type load struct {
	t       *testing.T
	url     string
	errs    errorCount
	stop    chan struct{}
	done    sync.WaitGroup
	clients [clients]client

	served, refused atomic.Int64 // requests of visitors who use no session
	slowest         atomic.Int64 // of all requests, in nanoseconds
}

// client writes ever higher numbers into its session, one at a time.
type client struct {
	browser   *webclient.Browser
	tried     int // the number of the last request
	acked     int // the last number that was answered 200
	successes atomic.Int64
	failures  atomic.Int64
	wrong     []string // answers that should not be
}

// errorCount is what ErrorFunc heard of.
type errorCount struct {
	n    atomic.Int64
	last atomic.Value
}

func (e *errorCount) add(err error) {
	e.n.Add(1)
	e.last.Store(err.Error())
}

// start opens the store and lets the clients run until halt is called.
func start(t *testing.T, opt session.Options) *load {
	t.Helper()
	l := &load{t: t, stop: make(chan struct{})}
	opt.ErrorFunc = l.errs.add
	m, err := session.NewManager(opt)
	if err != nil {
		t.Fatal(err)
	}
	f := flamego.NewWithLogger(io.Discard)
	f.Use(flamego.Recovery(), m.Sessioner())
	f.Get("/untouched", func() string { return "untouched" })
	f.Get("/get", func(s session.Session) string { n, _ := session.Get[int](s, "n"); return strconv.Itoa(n) })
	f.Get("/set", func(c flamego.Context, s session.Session) string {
		s.Set("n", c.QueryInt("n"))
		return "set"
	})
	f.Get("/redirect", func(c flamego.Context, s session.Session) {
		s.Set("n", c.QueryInt("n"))
		c.Redirect("/get")
	})
	srv := httptest.NewServer(f)
	l.url = srv.URL
	t.Cleanup(func() {
		l.halt()
		srv.Close()
		if err := m.Close(context.Background()); err != nil {
			t.Logf("closing: %v", err)
		}
	})
	for i := range l.clients {
		c := &l.clients[i]
		c.browser = webclient.New(t, l.url).Stay()
		if status, body := l.get(c.browser, "/set?n=0"); status != http.StatusOK {
			t.Fatalf("the store does not work before anything has happened: %d %s", status, body)
		}
		l.done.Go(func() { l.write(c) })
	}
	l.done.Go(l.visit)
	return l
}

func (l *load) halt() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.done.Wait()
}

func (l *load) running() bool {
	select {
	case <-l.stop:
		return false
	default:
		return true
	}
}

func (l *load) get(b *webclient.Browser, path string) (status int, body string) {
	begin := time.Now()
	page := b.Get(path)
	took := int64(time.Since(begin))
	for old := l.slowest.Load(); took > old && !l.slowest.CompareAndSwap(old, took); old = l.slowest.Load() {
	}
	return page.Status, page.Body
}

func (l *load) write(c *client) {
	for l.running() {
		c.tried++
		path, want := "/set", http.StatusOK
		if c.tried%2 == 0 {
			path, want = "/redirect", http.StatusFound
		}
		switch status, body := l.get(c.browser, fmt.Sprint(path, "?n=", c.tried)); status {
		case want:
			c.acked = c.tried
			c.successes.Add(1)
		case http.StatusInternalServerError:
			c.failures.Add(1)
			time.Sleep(20 * time.Millisecond) // As a person would, after an error.
		default:
			c.wrong = append(c.wrong, fmt.Sprint(status, " ", body))
		}
	}
}

// visit asks for a page that needs no session.
func (l *load) visit() {
	c := &http.Client{Transport: &http.Transport{}, Timeout: time.Second}
	for l.running() {
		if res, err := c.Get(l.url + "/untouched"); err == nil && res.StatusCode == http.StatusOK {
			_ = res.Body.Close()
			l.served.Add(1)
		} else {
			l.refused.Add(1)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// await waits until every client has had another write acknowledged.
func (l *load) await(limit time.Duration) {
	l.t.Helper()
	var before [clients]int64
	for i := range l.clients {
		before[i] = l.clients[i].successes.Load()
	}
	err := wait.Until(limit, func() error {
		for i := range l.clients {
			if l.clients[i].successes.Load() <= before[i]+2 {
				return fmt.Errorf("client %d is not served again; the last error: %v", i, l.errs.last.Load())
			}
		}
		return nil
	})
	if err != nil {
		l.t.Error(err)
	}
}

// outcome is what the clients saw.
type outcome struct {
	writes, failures int64
	lost             int // acknowledged writes that are not there
}

// check stops the load and compares what was acknowledged with what is stored.
// It returns how many sessions have lost an acknowledged write.
func (l *load) check(name string) outcome {
	l.t.Helper()
	l.halt()
	var o outcome
	for i := range l.clients {
		c := &l.clients[i]
		o.writes += c.successes.Load()
		o.failures += c.failures.Load()
		if len(c.wrong) > 0 {
			l.t.Errorf("client %d got %d answers that are neither a success nor 500, such as %q", i, len(c.wrong), c.wrong[0])
		}
		_, body := l.get(c.browser, "/get")
		n, err := strconv.Atoi(strings.TrimSpace(body))
		if err != nil || n > c.tried {
			l.t.Errorf("client %d: its session holds %q, after %d writes", i, body, c.tried)
			continue
		}
		if n < c.acked {
			o.lost++
			l.t.Logf("client %d: write %d was acknowledged, and %d is stored", i, c.acked, n)
		}
	}
	if l.refused.Load() > 0 {
		l.t.Errorf("%d visitors who use no session were not served within a second", l.refused.Load())
	}
	if slowest := time.Duration(l.slowest.Load()); slowest > storeTimeout+slack {
		l.t.Errorf("a request took %v, with a timeout of %v", slowest, storeTimeout)
	}
	if o.failures > 0 && l.errs.n.Load() == 0 {
		l.t.Error("ErrorFunc heard of nothing")
	}
	l.t.Logf("COUNT %s: %d writes acknowledged, %d answered 500, %d sessions lost an acknowledged write; %d visitors served, %d not; slowest request %v",
		name, o.writes, o.failures, o.lost, l.served.Load(), l.refused.Load(), time.Duration(l.slowest.Load()).Round(time.Millisecond))
	return o
}
