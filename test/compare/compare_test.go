package main

import (
	"bufio"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestContract holds every program against the contract, on the backends that need no
// server.
func TestContract(t *testing.T) {
	programs, err := build(t.Context(), "../..", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{dir: t.TempDir(), programs: programs, settings: settings{only: []string{"memory", "file", "sqlite"}}}
	stop, err := b.findStores(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	kept := 0
	for _, st := range b.stores {
		for _, p := range peersOf(st.name) {
			r, err := b.startOn(t.Context(), st, p)
			if err != nil {
				t.Errorf("%s on %s: %v", p.name, st.name, err)
				continue
			}
			kept++
			if err := r.proc.stop(); err != nil {
				t.Errorf("%s on %s: %v", p.name, st.name, err)
			}
			if err := r.drop(); err != nil {
				t.Errorf("%s on %s: %v", p.name, st.name, err)
			}
		}
	}
	if kept != 12 {
		t.Errorf("%d programs keep the contract, want 12", kept)
	}
}

// TestLoadChecks has a program that counts well, and one that counts the visits of all
// visitors together.
func TestLoadChecks(t *testing.T) {
	var total atomic.Int64
	mixed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "id", Value: "same"})
		if r.URL.Path == fresh {
			_, _ = fmt.Fprint(w, 1)
			return
		}
		_, _ = fmt.Fprint(w, total.Add(1))
	}))
	defer mixed.Close()
	// The program without sessions answers 1 whatever is asked.
	constant := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "id", Value: "1"})
		_, _ = fmt.Fprint(w, 1)
	}))
	defer constant.Close()
	for name, tt := range map[string]struct {
		srv   *httptest.Server
		route string
		wrong bool
	}{
		"reads the same":      {constant, read, false},
		"counts nothing":      {constant, write, true},
		"counts for everyone": {mixed, write, true},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := newCrew([]string{strings.TrimPrefix(tt.srv.URL, "http://")}, tt.route, nothing, 4, false)
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			s, err := c.work(math.MaxInt64, 10)
			if err != nil {
				t.Fatal(err)
			}
			if s.requests != 40 || len(s.latencies) != 40 {
				t.Errorf("%d requests, %d latencies, want 40", s.requests, len(s.latencies))
			}
			if (s.wrong > 0) != tt.wrong {
				t.Errorf("%d wrong answers, such as %v", s.wrong, s.example)
			}
		})
	}
}

// TestProxyCounts asks in two parts, which are one round trip.
func TestProxyCounts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				in := bufio.NewReader(conn)
				for {
					line, err := in.ReadString('\n')
					if err != nil {
						return
					}
					_, _ = fmt.Fprint(conn, line)
				}
			}()
		}
	}()
	px, err := newProxy()
	if err != nil {
		t.Fatal(err)
	}
	px.forwardTo(l.Addr().String())
	conn, err := net.Dial("tcp", px.addr())
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for range 5 {
		for _, part := range []string{"half, ", "and half\n"} {
			if _, err := fmt.Fprint(conn, part); err != nil {
				t.Fatal(err)
			}
		}
		if line, err := in.ReadString('\n'); line != "half, and half\n" {
			t.Fatal(line, err)
		}
	}
	if n := px.trips.Load(); n != 5 {
		t.Errorf("%d round trips, want 5", n)
	}
	if err := px.close(); err != nil {
		t.Error(err)
	}
	if _, err := in.ReadByte(); err == nil {
		t.Error("the connection outlives the proxy")
	}
}

func TestParseTrace(t *testing.T) {
	got, err := parseTrace([]byte(`% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 90.00    0.003000           3      1000           openat
  5.00    0.000200           1       250        10 newfstatat
  5.00    0.000200           1        77        10 futex
------ ----------- ----------- --------- --------- ----------------
100.00    0.003400           1      1327        20 total
`), 500)
	if err != nil {
		t.Fatal(err)
	}
	if got.total() != 2.5 || got.String() != "openat 2, newfstatat 0.5" {
		t.Errorf("%v calls: %v", got.total(), got)
	}
	if _, err := parseTrace([]byte("nothing"), 500); err == nil {
		t.Error("no error for a table that is none")
	}
}

// TestAbove takes the bare route of the same round, so that what slows all down is in
// no figure.
func TestAbove(t *testing.T) {
	c := cell{backend: "memory", route: read, conns: 8}
	f := figures{c: {}}
	for i := range 9 {
		busy := float64(100 * i)
		f[c]["flamego"] = append(f[c]["flamego"], sample{cpu: 20 + busy})
		f[c]["ours"] = append(f[c]["ours"], sample{cpu: 25 + busy})
		f[c]["v1.6.6"] = append(f[c]["v1.6.6"], sample{cpu: 30 + busy})
	}
	ours, theirs := f.above(c, peers[0]), f.above(c, peers[1])
	if ours != (estimate{5, 0}) || theirs != (estimate{10, 0}) {
		t.Errorf("%v and %v µs, want 5 and 10", ours, theirs)
	}
	if r := ratio(theirs, ours); r != "2.0" {
		t.Errorf("the ratio is %s, want 2.0", r)
	}
	if r := ratio(theirs, estimate{5, 3}); r != "–" {
		t.Errorf("the ratio to chance is %s", r)
	}
	if r := ratio(f.above(c, peers[2]), ours); r != "" {
		t.Errorf("the ratio of what was not measured is %s", r)
	}
}
