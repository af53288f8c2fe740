// Command memory fills the memory store and prints what that took, as JSON. It uses
// nothing that came after v1.6.6, so that the same source is built with that version and
// with ours.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

const (
	// lifetime is that of the sessions that will be swept. The visitors must not lose
	// theirs while they wait for an answer.
	lifetime = 10 * time.Second
	visitors = 2
	idLength = 32
)

// figures are in bytes a session, seconds, and microseconds of a request.
type figures struct {
	Bytes      float64 `json:",omitempty"` // a session, beside the program
	Fill       float64 `json:",omitempty"`
	Collection float64 `json:",omitempty"` // of garbage, with nothing beside it
	Processor  float64 `json:",omitempty"` // the same in seconds of processor time
	Calm       latency `json:",omitzero"`  // of reads, with nothing beside them
	Collecting latency `json:",omitzero"`  // during collections, one after the other

	// With -sweep, instead:
	Sweep    float64 `json:",omitempty"` // of sessions that have all expired
	Left     float64 `json:",omitempty"` // bytes for each of these, afterwards
	Sweeping latency `json:",omitzero"`  // of reads meanwhile
}

type latency struct{ P50, P99, Slowest float64 }

func main() {
	n := flag.Int("sessions", 1_000_000, "how many")
	sweep := flag.Bool("sweep", false, "sweep them")
	flag.Parse()
	do := measure
	if *sweep {
		do = measureSweep
	}
	f, err := do(context.Background(), *n)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "memory:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, n int) (f figures, err error) {
	before := inUse()
	s, err := newSite(time.Hour)
	if err != nil {
		return f, err
	}
	begin := time.Now()
	if err := s.fill(ctx, n); err != nil {
		return f, err
	}
	f.Fill = time.Since(begin).Seconds()
	f.Bytes = perSession(before, n)

	processor := collecting()
	begin = time.Now()
	runtime.GC()
	f.Collection = time.Since(begin).Seconds()
	f.Processor = collecting() - processor
	if f.Calm, err = s.during(n, func() error { time.Sleep(3 * time.Second); return nil }); err != nil {
		return f, err
	}
	f.Collecting, err = s.during(n, func() error {
		for begin := time.Now(); time.Since(begin) < 3*time.Second; {
			runtime.GC()
		}
		return nil
	})
	return f, err
}

func measureSweep(ctx context.Context, n int) (f figures, err error) {
	before := inUse()
	s, err := newSite(lifetime)
	if err != nil {
		return f, err
	}
	if err := s.fill(ctx, n); err != nil {
		return f, err
	}
	// No version takes a clock, so they have to grow old, except for the visitors' own.
	time.Sleep(lifetime + lifetime/10)
	const live = 1000
	if err := s.fill(ctx, live); err != nil {
		return f, err
	}
	f.Sweeping, err = s.during(live, func() error {
		begin := time.Now()
		err := s.store.GC(ctx)
		f.Sweep = time.Since(begin).Seconds()
		return err
	})
	f.Left = perSession(before, n)
	runtime.KeepAlive(s)
	return f, err
}

// inUse returns the bytes that are in use after a collection. The second one frees what
// pools have kept.
func inUse() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

func perSession(before float64, n int) float64 { return (inUse() - before) / float64(n) }

// collecting returns the seconds of processor time that the collector has taken so far.
func collecting() float64 {
	s := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
	metrics.Read(s)
	return s[0].Value.Float64()
}

// site is an application with its store.
type site struct {
	store   session.Store
	handler http.Handler
}

func newSite(lifetime time.Duration) (*site, error) {
	s := &site{}
	var err error
	open := func(ctx context.Context, args ...any) (session.Store, error) {
		s.store, err = session.MemoryIniter()(ctx, args...)
		return s.store, err
	}
	f := flamego.NewWithLogger(io.Discard)
	f.Use(session.Sessioner(session.Options{
		Initer:     open,
		Config:     session.MemoryConfig{Lifetime: lifetime},
		IDLength:   idLength,
		GCInterval: 1000 * time.Hour,
	}))
	f.Get("/", func(c flamego.Context, s session.Session) {
		if _, ok := s.Get("user_id").(int64); !ok {
			c.ResponseWriter().WriteHeader(http.StatusTeapot)
		}
	})
	s.handler = f
	return s, err
}

func id(i int) string { return fmt.Sprintf("%0*d", idLength, i) }

// fill makes n sessions, whose numbers begin at 0.
func (s *site) fill(ctx context.Context, n int) error {
	for i := range n {
		sess, err := s.store.Read(ctx, id(i))
		if err != nil {
			return err
		}
		sess.Set("user_id", int64(1_000_000+i))
		if err := s.store.Save(ctx, sess); err != nil {
			return err
		}
	}
	return nil
}

// during has the visitors read any of n sessions, without a pause, for as long as do
// takes.
func (s *site) during(n int, do func() error) (latency, error) {
	stop := make(chan struct{})
	took, wrong := make([][]time.Duration, visitors), make([]int, visitors)
	var done sync.WaitGroup
	for i := range visitors {
		done.Go(func() { took[i], wrong[i] = s.visit(n, stop) })
	}
	err := do()
	close(stop)
	done.Wait()
	all := slices.Concat(took...)
	if bad := wrong[0] + wrong[1]; err == nil && bad > 0 {
		err = fmt.Errorf("%d of %d sessions were not what they should be", bad, len(all))
	}
	slices.Sort(all)
	at := func(share float64) float64 { return all[int(share*float64(len(all)-1))].Seconds() * 1e6 }
	return latency{at(0.5), at(0.99), at(1)}, err
}

func (s *site) visit(n int, stop <-chan struct{}) (took []time.Duration, wrong int) {
	req, err := http.NewRequest(http.MethodGet, "/", nil)
	if err != nil {
		panic(err)
	}
	for {
		w := &response{header: make(http.Header)}
		req.Header.Set("Cookie", "flamego_session="+id(rand.IntN(n)))
		begin := time.Now()
		s.handler.ServeHTTP(w, req)
		if took = append(took, time.Since(begin)); w.status == http.StatusTeapot {
			wrong++
		}
		select {
		case <-stop:
			return took, wrong
		default:
		}
	}
}

type response struct {
	header http.Header
	status int
}

func (w *response) Header() http.Header         { return w.header }
func (w *response) Write(b []byte) (int, error) { return len(b), nil }
func (w *response) WriteHeader(status int)      { w.status = status }
