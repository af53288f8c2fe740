package benchmarks

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

// clients is how many visitors are at it at the same time, each with a session.
const clients = 8

// load is an application and its visitors, who read and write in turn, each
// without a pause. There is no network between them, only between the
// application and its store.
type load struct {
	t       *testing.T
	handler http.Handler
	visitor [clients]visitor
}

type visitor struct {
	cookie  *http.Cookie
	written int // what its session must hold
}

func newLoad(t *testing.T, m *session.Manager) *load {
	t.Helper()
	f := flamego.NewWithLogger(io.Discard)
	f.Use(m.Sessioner())
	f.Get("/read", func(s session.Session) string { return fmt.Sprint(s.Get("n")) })
	f.Get("/write", func(c flamego.Context, s session.Session) { s.Set("n", c.QueryInt("n")) })
	l := &load{t: t, handler: f}
	for i := range l.visitor {
		res := l.ask(&l.visitor[i], "/write?n=0")
		if len(res.Cookies()) != 1 {
			t.Fatalf("no session to begin with: status %d", res.StatusCode)
		}
		l.visitor[i].cookie = res.Cookies()[0]
	}
	return l
}

func (l *load) ask(v *visitor, path string) *http.Response {
	req := httptest.NewRequest(http.MethodGet, path, nil)
	if v.cookie != nil {
		req.AddCookie(v.cookie)
	}
	rec := httptest.NewRecorder()
	l.handler.ServeHTTP(rec, req)
	return rec.Result()
}

// during lets the visitors work for as long as do takes.
func (l *load) during(do func()) figures {
	l.t.Helper()
	stop := make(chan struct{})
	var all figures
	var mu sync.Mutex
	var done sync.WaitGroup
	for i := range l.visitor {
		done.Go(func() {
			f := l.work(&l.visitor[i], stop)
			mu.Lock()
			defer mu.Unlock()
			all.read, all.write, all.wrong = append(all.read, f.read...), append(all.write, f.write...), append(all.wrong, f.wrong...)
		})
	}
	begin := time.Now()
	do()
	all.took = time.Since(begin)
	close(stop)
	done.Wait()
	if len(all.wrong) > 0 {
		l.t.Errorf("%d wrong answers, such as %q", len(all.wrong), all.wrong[0])
	}
	slices.Sort(all.read)
	slices.Sort(all.write)
	return all
}

func (l *load) work(v *visitor, stop <-chan struct{}) (f figures) {
	for {
		select {
		case <-stop:
			return f
		default:
		}
		v.written++
		begin := time.Now()
		res := l.ask(v, fmt.Sprint("/write?n=", v.written))
		f.write = append(f.write, time.Since(begin))
		if res.StatusCode != http.StatusOK {
			f.wrong = append(f.wrong, res.Status)
		}
		begin = time.Now()
		res = l.ask(v, "/read")
		f.read = append(f.read, time.Since(begin))
		if b, _ := io.ReadAll(res.Body); string(b) != fmt.Sprint(v.written) {
			f.wrong = append(f.wrong, fmt.Sprintf("%s %s, want %d", res.Status, b, v.written))
		}
	}
}

// figures are what requests took, in order.
type figures struct {
	read, write []time.Duration
	wrong       []string
	took        time.Duration
}

func (f figures) row(title string) []string {
	return []string{title, fmt.Sprintf("%.0f", f.took.Seconds()), thousands(len(f.read) + len(f.write)), milli(rank(f.read, 50)), milli(rank(f.write, 50)),
		milli(rank(f.read, 99)), milli(rank(f.write, 99)), milli(max(rank(f.read, 100), rank(f.write, 100)))}
}

// rank is the p-th percentile of what is in order, rounded for reading.
func rank(of []time.Duration, p int) time.Duration {
	if len(of) == 0 {
		return 0
	}
	d := of[max(0, (len(of)*p+99)/100-1)]
	return d.Round(time.Microsecond)
}
