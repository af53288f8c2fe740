package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// cell is one line of conditions, under which all peers of a backend are measured in
// turn.
type cell struct {
	backend, route string
	conns          int
	besides        string // what sessions hold besides the counter
}

// sample is one slice of one peer.
type sample struct {
	slice
	cpu float64 // µs of the server per request
}

// figures are the samples of each peer, the bare ones too, by cell and name. Those of
// the same index were taken within the same round.
type figures map[cell]map[string][]sample

// plan is how much is measured.
type plan struct {
	budget  time.Duration // for all slices together
	rounds  int
	longest time.Duration // of a slice
}

// cellsOf: every route with 8 connections, and those that use a session with 1 and 64, and,
// where all peers are, on larger sessions. Last come those that leave sessions behind.
func cellsOf(backend string) []cell {
	var cells []cell
	for _, route := range []string{read, write} {
		for _, conns := range []int{1, 8, 64} {
			cells = append(cells, cell{backend: backend, route: route, conns: conns})
		}
	}
	if backend != "mysql" && backend != "mongo" {
		for _, besides := range []string{aStruct, aText} {
			cells = append(cells, cell{backend, read, 8, besides}, cell{backend, write, 8, besides})
		}
	}
	return append(cells, cell{backend: backend, route: untouched, conns: 8}, cell{backend: backend, route: fresh, conns: 8})
}

func (c cell) what() string {
	return routeNames[c.route] + map[string]string{aStruct: " beside a struct", aText: " beside 4 KB"}[c.besides]
}

func (c cell) String() string { return fmt.Sprintf("%s with %d connections", c.what(), c.conns) }

func peersOf(backend string) []peer {
	var list []peer
	for _, p := range peers {
		if p.has(backend) {
			list = append(list, p)
		}
	}
	return list
}

// running is a peer that serves.
type running struct {
	peer
	bare bool
	proc *process
	drop func() error
}

func (b *bench) measure(ctx context.Context, p plan) (figures, error) {
	slots := 0
	for _, st := range b.stores {
		slots += len(cellsOf(st.name)) * (len(peersOf(st.name)) + len(bares))
	}
	// A slice in twelve goes to warming up and connecting.
	d := min(p.longest, p.budget*11/12/time.Duration(max(1, slots*p.rounds)))
	say("%d slices of %v", slots*p.rounds, d.Round(time.Millisecond))
	all := make(figures)
	for _, st := range b.stores {
		say("measuring on %s", st.title)
		if err := b.measureStore(ctx, p, st, d, all); err != nil {
			return nil, fmt.Errorf("%s: %w", st.title, err)
		}
	}
	return all, nil
}

func (b *bench) measureStore(ctx context.Context, p plan, st *store, d time.Duration, all figures) (err error) {
	list, stop, err := b.startAll(ctx, st, peersOf(st.name))
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	for _, c := range cellsOf(st.name) {
		if all[c], err = measureCell(ctx, c, list, p.rounds, d); err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
	}
	return nil
}

// startAll starts the peers that have the backend, and those without sessions. One
// that does not start or keep the contract is left out, with the reason.
func (b *bench) startAll(ctx context.Context, st *store, with []peer) (list []*running, stop func() error, err error) {
	stop = func() error {
		var errs []error
		for _, r := range list {
			errs = append(errs, r.proc.stop(), r.drop())
		}
		return errors.Join(errs...)
	}
	for _, p := range bares {
		proc, err := b.programs[p.program].start("none", "")
		if err != nil {
			return list, stop, err
		}
		list = append(list, &running{peer: p, bare: true, proc: proc, drop: kept})
	}
	for _, p := range with {
		r, err := b.startOn(ctx, st, p)
		if err != nil {
			if ctx.Err() != nil {
				return list, stop, ctx.Err()
			}
			b.leftOut = append(b.leftOut, fmt.Sprintf("%s on %s: %v", p.name, st.title, err))
			continue
		}
		list = append(list, r)
	}
	return list, stop, nil
}

func (b *bench) startOn(ctx context.Context, st *store, p peer, args ...string) (*running, error) {
	dsn, drop, err := st.open(ctx, p.name)
	if err != nil {
		return nil, err
	}
	proc, err := b.programs[p.program].start(p.prefix+st.name, dsn, args...)
	if err != nil {
		return nil, errors.Join(err, drop())
	}
	if err := check(proc.addr); err != nil {
		return nil, errors.Join(err, proc.stop(), drop())
	}
	return &running{peer: p, proc: proc, drop: drop}, nil
}

// measureCell takes slices of all peers in turn, so that what else happens on the
// machine meets all of them, and every other round backwards, so that none always
// comes after the same one.
func measureCell(ctx context.Context, c cell, list []*running, rounds int, d time.Duration) (map[string][]sample, error) {
	crews := make([]*crew, len(list))
	defer func() {
		for _, cr := range crews {
			if cr != nil {
				cr.close()
			}
		}
	}()
	for i, r := range list {
		var err error
		if crews[i], err = newCrew([]string{r.proc.addr}, c.route, c.besides, c.conns, r.bare); err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
		if _, err := crews[i].work(d/3, math.MaxInt); err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
	}
	samples := make(map[string][]sample)
	for round := range rounds {
		order := make([]int, len(list))
		for i := range order {
			order[i] = i
		}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, i := range order {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			s, err := takeSlice(list[i].proc, crews[i], d)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", list[i].name, err)
			}
			samples[list[i].name] = append(samples[list[i].name], s)
		}
	}
	return samples, nil
}

func takeSlice(proc *process, c *crew, d time.Duration) (sample, error) {
	before, err := proc.stats()
	if err != nil {
		return sample{}, err
	}
	s, err := c.work(d, math.MaxInt)
	if err != nil {
		return sample{}, err
	}
	after, err := proc.stats()
	if err != nil {
		return sample{}, err
	}
	n := after.Requests - before.Requests
	if n != int64(s.requests) {
		return sample{}, fmt.Errorf("the program counted %d requests, the load %d", n, s.requests)
	}
	return sample{slice: s, cpu: float64((after.CPU - before.CPU).Nanoseconds()) / 1e3 / float64(max(1, n))}, nil
}

// median is not a number for nothing.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// of is the median of a quantity over the slices of a peer.
func (f figures) of(c cell, name string, quantity func(sample) float64) float64 {
	var values []float64
	for _, s := range f[c][name] {
		values = append(values, quantity(s))
	}
	return median(values)
}

// rank is a percentile of the latency, over all slices together, in ms.
func (f figures) rank(c cell, name string, percent int) float64 {
	var all []time.Duration
	for _, s := range f[c][name] {
		all = append(all, s.latencies...)
	}
	if len(all) == 0 {
		return math.NaN()
	}
	slices.Sort(all)
	return float64(all[len(all)*percent/100].Microseconds()) / 1e3
}

// estimate is a median and its standard error.
type estimate struct{ value, err float64 }

// clear tells whether it is more than chance.
func (e estimate) clear() bool { return e.value > 2*e.err }

// above is the CPU per request, in µs, beyond that of the bare route in the same round.
func (f figures) above(c cell, p peer) estimate {
	var values []float64
	bare := f[c][p.bare]
	for i, s := range f[c][p.name] {
		values = append(values, s.cpu-bare[i].cpu)
	}
	if len(values) == 0 {
		return estimate{math.NaN(), math.NaN()}
	}
	slices.Sort(values)
	n := len(values)
	// Of values that are spread like a bell: 1.25 σ/√n, and 1.35 σ between the quartiles.
	return estimate{median(values), 0.93 * (values[n*3/4] - values[n/4]) / math.Sqrt(float64(n))}
}
