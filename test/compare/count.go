package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// counts are what requests cost in things that can be counted, whatever the machine.
type counts struct {
	trips    map[string]map[string]map[string]float64 // round trips by backend, route and peer
	syscalls map[string]map[string]syscallCount       // on files, by route and peer
}

const counted = 500 // requests, one after the other

var countedRoutes = []string{read, write, fresh}

func (b *bench) count(ctx context.Context) (counts, error) {
	c := counts{trips: make(map[string]map[string]map[string]float64)}
	for _, st := range b.stores {
		if err := ctx.Err(); err != nil {
			return c, err
		}
		if st.through != nil {
			say("counting round trips to %s", st.title)
			trips, err := b.countTrips(ctx, st)
			if err != nil {
				return c, fmt.Errorf("round trips to %s: %w", st.title, err)
			}
			c.trips[st.name] = trips
		}
		if st.name == "file" {
			say("counting system calls on files")
			var err error
			if c.syscalls, err = b.countSyscalls(ctx, st); err != nil {
				b.leftOut = append(b.leftOut, fmt.Sprintf("system calls: %v", err))
			}
		}
	}
	return c, nil
}

// countTrips lets each peer work through a proxy that counts.
func (b *bench) countTrips(ctx context.Context, st *store) (trips map[string]map[string]float64, err error) {
	trips = make(map[string]map[string]float64)
	for _, p := range peersOf(st.name) {
		if err := b.countTripsOf(ctx, st, p, trips); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			b.leftOut = append(b.leftOut, fmt.Sprintf("round trips of %s to %s: %v", p.name, st.title, err))
		}
	}
	return trips, nil
}

func (b *bench) countTripsOf(ctx context.Context, st *store, p peer, trips map[string]map[string]float64) (err error) {
	px, err := newProxy()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, px.close()) }()
	behind := *st
	behind.open = func(ctx context.Context, owner string) (string, func() error, error) {
		dsn, drop, err := st.open(ctx, owner)
		if err != nil {
			return "", nil, err
		}
		var upstream string
		dsn, upstream = st.through(dsn, px.addr())
		px.forwardTo(upstream)
		return dsn, drop, nil
	}
	r, err := b.startOn(ctx, &behind, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.proc.stop(), r.drop()) }()
	for _, route := range countedRoutes {
		n, err := countOn(r.proc.addr, route, false, func(work func() error) (float64, error) {
			before := px.trips.Load()
			err := work()
			return float64(px.trips.Load() - before), err
		})
		if err != nil {
			return err
		}
		if trips[route] == nil {
			trips[route] = make(map[string]float64)
		}
		trips[route][p.name] = n / counted
	}
	return nil
}

// countOn makes the requests that are counted, after some that are not.
func countOn[T any](addr, route string, bare bool, during func(work func() error) (T, error)) (n T, err error) {
	c, err := newCrew([]string{addr}, route, nothing, 1, bare)
	if err != nil {
		return n, err
	}
	defer c.close()
	work := func(times int) error {
		s, err := c.work(math.MaxInt64, times)
		if err == nil && s.wrong > 0 {
			err = s.example
		}
		return err
	}
	if err := work(50); err != nil {
		return n, err
	}
	return during(func() error { return work(counted) })
}

// proxy passes bytes between a program and its server, and counts round trips: how
// often the program speaks after it has been spoken to.
type proxy struct {
	upstream string
	trips    atomic.Int64
	l        net.Listener
	wg       sync.WaitGroup
	mu       sync.Mutex
	open     map[net.Conn]bool
}

func newProxy() (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{l: l, open: make(map[net.Conn]bool)}
	p.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(conn) })
		}
	})
	return p, nil
}

// forwardTo says where connections lead from now on.
func (p *proxy) forwardTo(upstream string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.upstream = upstream
}

func (p *proxy) addr() string { return p.l.Addr().String() }

func (p *proxy) close() error {
	err := p.l.Close()
	p.mu.Lock()
	for conn := range p.open {
		_ = conn.Close()
	}
	p.open = nil
	p.mu.Unlock()
	p.wg.Wait()
	return err
}

// keep has close end a connection. It is false when that has been already.
func (p *proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		_ = conn.Close()
		return false
	}
	p.open[conn] = true
	return true
}

func (p *proxy) serve(client net.Conn) {
	if !p.keep(client) {
		return
	}
	defer func() { _ = client.Close() }()
	p.mu.Lock()
	upstream := p.upstream
	p.mu.Unlock()
	server, err := net.DialTimeout("tcp", upstream, 10*time.Second)
	if err != nil || !p.keep(server) {
		return
	}
	var waiting atomic.Bool // for the server, which has been asked
	p.wg.Go(func() {
		defer func() { _ = client.Close() }()
		_ = pass(client, server, func() { waiting.Store(false) })
	})
	_ = pass(server, client, func() {
		if !waiting.Swap(true) {
			p.trips.Add(1)
		}
	})
	_ = server.Close()
}

// pass calls each time before it passes something on.
func pass(to io.Writer, from io.Reader, each func()) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			each()
			if _, err := to.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// syscallCount is how often a request makes a system call, beyond the bare route.
type syscallCount map[string]float64

// runtimeCalls are those that Go makes for its own sake: how many depends on the
// moment, not on the program.
var runtimeCalls = map[string]bool{
	"futex": true, "epoll_pwait": true, "epoll_ctl": true, "nanosleep": true, "madvise": true, "sched_yield": true, "tgkill": true,
	"getpid": true, "rt_sigreturn": true, "rt_sigprocmask": true, "restart_syscall": true, "mmap": true, "munmap": true,
	"sigaltstack": true, "gettid": true, "clone": true, "clone3": true, "mprotect": true, "eventfd2": true, "prctl": true, "timer_settime": true,
}

func (s syscallCount) total() (n float64) {
	for _, each := range s {
		n += each
	}
	return n
}

// String lists them, the most frequent first.
func (s syscallCount) String() string {
	names := slices.SortedFunc(maps.Keys(s), func(a, b string) int {
		if d := s[b] - s[a]; math.Abs(d) > 0.05 {
			return int(math.Copysign(1, d))
		}
		return strings.Compare(a, b)
	})
	var parts []string
	for _, name := range names {
		if n := strconv.FormatFloat(s[name], 'f', 1, 64); n != "0.0" && n != "-0.0" {
			parts = append(parts, name+" "+strings.TrimSuffix(n, ".0"))
		}
	}
	return strings.Join(parts, ", ")
}

func (b *bench) countSyscalls(ctx context.Context, st *store) (_ map[string]map[string]syscallCount, err error) {
	if _, err := exec.LookPath("strace"); err != nil {
		return nil, errors.New("strace is not installed")
	}
	// With one processor Go wakes hardly any threads, by reads and writes of its own.
	single := *b
	single.programs = make(map[string]program)
	for name, p := range b.programs {
		p.env = []string{"GOMAXPROCS=1"}
		single.programs[name] = p
	}
	list, stop, err := single.startAll(ctx, st, peersOf(st.name))
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return nil, err
	}
	result := make(map[string]map[string]syscallCount)
	for _, route := range countedRoutes {
		result[route] = make(map[string]syscallCount)
		for _, r := range list {
			n, err := countOn(r.proc.addr, route, r.bare, func(work func() error) (syscallCount, error) { return b.trace(ctx, r.proc.pid, work) })
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", r.name, route, err)
			}
			result[route][r.name] = n
		}
		for _, p := range peersOf(st.name) {
			if of := result[route][p.name]; of != nil {
				for name, n := range result[route][p.bare] {
					of[name] -= n
				}
			}
		}
		for _, p := range bares {
			delete(result[route], p.name)
		}
	}
	return result, nil
}

// trace counts the system calls of a process while it works.
func (b *bench) trace(ctx context.Context, pid int, work func() error) (syscallCount, error) {
	summary := filepath.Join(b.dir, "strace")
	cmd := exec.CommandContext(ctx, "strace", "-f", "-c", "-o", summary, "-p", strconv.Itoa(pid))
	messages, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	// It attaches to all threads, and then says so.
	in := bufio.NewReader(messages)
	line, err := in.ReadString('\n')
	if err == nil && !strings.Contains(line, "attached") {
		err = errors.New(strings.TrimSpace(line))
	}
	if err == nil {
		go func() { _, _ = io.Copy(io.Discard, in) }()
		err = work()
	}
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait() // Its status is that of the signal.
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(summary)
	if err != nil {
		return nil, err
	}
	return parseTrace(text, counted)
}

// parseTrace reads the table of strace -c:
//
//	% time     seconds  usecs/call     calls    errors syscall
//	 50.00    0.000100           1       100        10 openat
func parseTrace(text []byte, requests float64) (syscallCount, error) {
	calls := make(syscallCount)
	for line := range bytes.Lines(text) {
		f := strings.Fields(string(line))
		if len(f) < 5 || f[len(f)-1] == "total" || runtimeCalls[f[len(f)-1]] {
			continue
		}
		n, err := strconv.ParseFloat(f[3], 64)
		if err != nil {
			continue // the headings
		}
		calls[f[len(f)-1]] = n / requests
	}
	if len(calls) == 0 {
		return nil, errors.New("strace counted nothing")
	}
	return calls, nil
}
