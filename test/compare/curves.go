package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/flamego/session/internal/ci/measured"
	"github.com/flamego/session/test/compare/contract"
)

// A curve shows how the cost of ours grows with one quantity. The others stay: a
// thousand sessions at most, a few bytes each, 8 connections, one process.
type curve struct {
	title  string
	part   string // of docs/measured.txt
	routes []string
	show   string // what of a measurement: CPU and latency, or requests per second and latency
	points []int
	unit   func(int) string
	on     func(st *store) bool
	// at prepares a point, and returns the processes and their visitors.
	at func(ctx context.Context, s *stage, route string, point int) (*crew, error)
}

// stage is one backend of one curve, with the processes that serve.
type stage struct {
	b     *bench
	st    *store
	dsn   string
	procs []*process
	// What earlier points have filled in.
	filled  int
	cookies []string
	full    bool // more cannot be filled in
}

func always(*store) bool { return true }

var allCurves = []curve{
	{
		title: "Sessions in the store", part: "grow-sessions", routes: []string{read}, show: "cpu",
		points: []int{1_000, 10_000, 100_000, 1_000_000, 10_000_000}, unit: count10,
		on: func(st *store) bool { return st.fill() != nil },
		at: func(ctx context.Context, s *stage, _ string, n int) (*crew, error) {
			if n > 1_000_000 && s.st.name != "memory" {
				return nil, errNotHere
			}
			cookies, err := s.st.fill()(ctx, s, s.filled, n)
			if err != nil {
				return nil, err
			}
			s.filled, s.cookies = n, cookies
			return newReaders(s.procs[0].addr, 8, cookies)
		},
	},
	{
		title: "Bytes in a session", part: "grow-bytes", routes: []string{read, write}, show: "cpu",
		points: []int{100, 1_000, 10_000, 100_000, 1_000_000}, unit: bytes10, on: always,
		at: func(_ context.Context, s *stage, route string, n int) (*crew, error) {
			c, err := newCrew([]string{s.procs[0].addr}, route, nothing, 8, false)
			if err != nil {
				return nil, err
			}
			for _, v := range c.visitors {
				if _, _, err := v.ask(fmt.Sprintf("/fat?n=%d", n), v.cookies[0]); err != nil {
					c.close()
					return nil, err
				}
			}
			return c, nil
		},
	},
	{
		title: "Connections", part: "grow-connections", routes: []string{read, write}, show: "rate",
		points: []int{1, 4, 16, 64, 256}, unit: plain, on: always,
		at: func(_ context.Context, s *stage, route string, n int) (*crew, error) {
			return newCrew([]string{s.procs[0].addr}, route, nothing, n, false)
		},
	},
	{
		title: "Processes on one store, 64 connections", part: "grow-processes", routes: []string{read, write}, show: "rate",
		points: []int{1, 2, 4, 8}, unit: plain, on: func(st *store) bool { return st.name != "memory" },
		at: func(_ context.Context, s *stage, route string, n int) (*crew, error) {
			for len(s.procs) < n {
				p, err := s.b.programs["ours"].start(s.st.name, s.dsn)
				if err != nil {
					return nil, err
				}
				s.procs = append(s.procs, p)
			}
			addrs := make([]string, n)
			for i := range addrs {
				addrs[i] = s.procs[i].addr
			}
			return newCrew(addrs, route, nothing, 64, false)
		},
	},
}

// fillLimit bounds the making of sessions for one point.
const fillLimit = 90 * time.Second

// errNotHere marks a point that a backend does not have.
var errNotHere = errors.New("not measured")

func plain(n int) string { return fmt.Sprint(n) }

func count10(n int) string { return fmt.Sprintf("10^%d", int(math.Round(math.Log10(float64(n))))) }

func bytes10(n int) string {
	switch {
	case n >= 1_000_000:
		return fmt.Sprintf("%d MB", n/1_000_000)
	case n >= 1_000:
		return fmt.Sprintf("%d kB", n/1_000)
	}
	return fmt.Sprintf("%d B", n)
}

func curves(ctx context.Context, b *bench) error {
	var parts []measured.Part
	for _, c := range allCurves {
		if b.quick {
			c.points = c.points[:3]
		}
		say("%s", c.title)
		rows, err := b.draw(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.title, err)
		}
		head := []string{map[string]string{"cpu": "CPU µs; median ms", "rate": "requests per second; p99 ms"}[c.show]}
		for _, n := range c.points {
			head = append(head, c.unit(n))
		}
		parts = append(parts, measured.Part{Name: c.part, Text: measured.Table(head, rows)})
	}
	parts[0].Text = fmt.Sprintf("Measured on %s. %s.\n\n%s%s", measured.Machine(b.dir), b.versions(), parts[0].Text, notes(b.leftOut))
	return b.publish(parts...)
}

func (b *bench) draw(ctx context.Context, c curve) (rows [][]string, err error) {
	for _, st := range b.stores {
		if !c.on(st) {
			continue
		}
		say("  %s", st.title)
		r, err := b.drawStore(ctx, c, st)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			b.leftOut = append(b.leftOut, fmt.Sprintf("%s on %s: %v", c.title, st.title, err))
			continue
		}
		rows = append(rows, r...)
	}
	return rows, nil
}

func (b *bench) drawStore(ctx context.Context, c curve, st *store) (rows [][]string, err error) {
	dsn, drop, err := st.open(ctx, "curve")
	if err != nil {
		return nil, err
	}
	s := &stage{b: b, st: st, dsn: dsn}
	defer func() {
		for _, p := range s.procs {
			err = errors.Join(err, p.stop())
		}
		err = errors.Join(err, drop())
	}()
	p, err := b.programs["ours"].start(st.name, dsn)
	if err != nil {
		return nil, err
	}
	s.procs = append(s.procs, p)
	if err := check(p.addr); err != nil {
		return nil, err
	}
	for _, route := range c.routes {
		row := []string{st.title + ", " + routeNames[route]}
		for _, point := range c.points {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			crew, err := prepare(ctx, c, s, route, point)
			if errors.Is(err, errNotHere) {
				row = append(row, "")
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.unit(point), err)
			}
			text, err := s.measure(ctx, crew, c.show)
			crew.close()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.unit(point), err)
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// prepare gives up what cannot be filled in time. The points beyond it cannot either.
func prepare(ctx context.Context, c curve, s *stage, route string, point int) (*crew, error) {
	if s.full {
		return nil, errNotHere
	}
	limited, cancel := context.WithTimeout(ctx, fillLimit)
	defer cancel()
	crew, err := c.at(limited, s, route, point)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		s.full = true
		s.b.leftOut = append(s.b.leftOut, fmt.Sprintf("%s, %s: could not be made in %v", s.st.title, c.unit(point), fillLimit))
		return nil, errNotHere
	}
	return crew, err
}

// measure takes the medians of a few slices.
func (s *stage) measure(ctx context.Context, c *crew, show string) (string, error) {
	slices, d := 5, 200*time.Millisecond
	if s.b.quick {
		slices, d = 3, 100*time.Millisecond
	}
	if _, err := c.work(d, math.MaxInt); err != nil { // to warm up
		return "", err
	}
	at := cell{backend: s.st.name, route: c.path, conns: len(c.visitors)}
	f := figures{at: make(map[string][]sample)}
	for range slices {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		before, err := s.cpu()
		if err != nil {
			return "", err
		}
		sl, err := c.work(d, math.MaxInt)
		if err != nil {
			return "", err
		}
		if sl.wrong > 0 {
			return "", sl.example
		}
		after, err := s.cpu()
		if err != nil {
			return "", err
		}
		f[at]["ours"] = append(f[at]["ours"], sample{slice: sl, cpu: float64((after - before).Nanoseconds()) / 1e3 / float64(max(1, sl.requests))})
	}
	if show == "rate" {
		return fmt.Sprintf("%.0f; %.1f", f.of(at, "ours", func(s sample) float64 { return s.perSecond() }), f.rank(at, "ours", 99)), nil
	}
	return fmt.Sprintf("%s; %.2f", micro(f.of(at, "ours", func(s sample) float64 { return s.cpu })), f.rank(at, "ours", 50)), nil
}

// cpu is that of all processes together.
func (s *stage) cpu() (sum time.Duration, err error) {
	for _, p := range s.procs {
		var st contract.Stats
		if st, err = p.stats(); err != nil {
			return 0, err
		}
		sum += st.CPU
	}
	return sum, nil
}
