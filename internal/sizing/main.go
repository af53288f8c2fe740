// Command sizing does the arithmetic of docs/scaling.md: what a number of sessions
// takes of a storage system.
//
//	go run ./internal/sizing -sessions 1000000 -rps 2000 -lifetime 1h -bytes 300
//
// It counts what the library asks for. What a change costs the system inside, its
// logs and replicas above all, is on the pages of docs/backends.
package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"time"
)

// load is what there is to be stored. Requests are those that use a session.
type load struct {
	sessions float64       // records that have not expired
	rps      float64       // requests per second
	changes  float64       // the share of them that change the session
	lifetime time.Duration // Config.Lifetime
	pace     time.Duration // from one request of a visitor to the next, while there
	gc       time.Duration // Options.GCInterval
	bytes    float64       // of one encoded session
}

func main() {
	l, err := parse(os.Args[1:])
	if err != nil {
		os.Exit(2)
	}
	l.print(os.Stdout)
}

func parse(args []string) (l load, err error) {
	f := flag.NewFlagSet("sizing", flag.ContinueOnError)
	f.Float64Var(&l.sessions, "sessions", 1_000_000, "sessions that are alive")
	f.Float64Var(&l.rps, "rps", 2000, "requests per second that use a session")
	f.Float64Var(&l.changes, "changes", 0.05, "share of them that change it")
	f.DurationVar(&l.lifetime, "lifetime", time.Hour, "Config.Lifetime")
	f.DurationVar(&l.pace, "pace", 10*time.Second, "time from one request of a visitor to the next")
	f.DurationVar(&l.gc, "gc", 5*time.Minute, "Options.GCInterval")
	f.Float64Var(&l.bytes, "bytes", 300, "bytes of an encoded session")
	err = f.Parse(args)
	if err == nil && (l.sessions <= 0 || l.rps < 0 || l.lifetime < time.Second || l.pace <= 0 || l.changes < 0 || l.changes > 1) {
		err = fmt.Errorf("sessions, lifetime and pace must be positive, changes a share from 0 to 1")
		_, _ = fmt.Fprintln(f.Output(), err)
	}
	return l, err
}

// ended is how many sessions end in a second, and so how many begin, at most: one
// that anybody still uses or that has just been left is among the records for a
// Lifetime.
func (l load) ended() float64 { return l.sessions / l.lifetime.Seconds() }

// records are those of the sessions, and those that wait to be swept.
func (l load) records() float64 { return l.sessions + l.ended()*l.gc.Seconds() }

// touches are the writes per second that only slide an expiry. A record is written
// to live for a Lifetime and a twentieth, and is left alone until that twentieth is
// over, so each of the visitors who are there writes at most once in that time.
func (l load) touches() float64 {
	visitors := l.rps * l.pace.Seconds()
	return min(l.rps, visitors*20/l.lifetime.Seconds())
}

// mostTouches is what they cannot exceed, however visitors behave.
func (l load) mostTouches() float64 {
	return min(l.rps, l.sessions*20/l.lifetime.Seconds())
}

// stores are what a record takes of each, measured with data of 100, 300 and 1,000
// bytes and IDs of 32; the pages in docs/backends say how it grows.
var stores = []struct {
	name string
	size func(data float64) float64
}{
	{"Redis, memory", func(data float64) float64 { return 170 + data }},
	{"SQLite", func(data float64) float64 { return 110 + 1.3*data }},
	{"MariaDB", func(data float64) float64 { return 225 + 1.6*data }},
	{"PostgreSQL", func(data float64) float64 { return 330 + 1.34*data }},
	{"files on ext4", func(data float64) float64 { return 256 + 4096*math.Ceil(max(1, data)/4096) }},
}

func (l load) print(w io.Writer) {
	row := func(name string, n float64, note string, args ...any) {
		_, _ = fmt.Fprintf(w, "%-15s %9.0f  %s\n", name, n, fmt.Sprintf(note, args...))
	}
	changes := l.rps * l.changes
	row("records", l.records(), "%.0f alive, %.0f expired and not yet swept", l.sessions, l.records()-l.sessions)
	for _, s := range stores {
		row("MB", l.records()*s.size(l.bytes)/1e6, "%s, %.0f bytes a session", s.name, s.size(l.bytes))
	}
	row("reads/s", l.rps, "one for each request")
	row("writes/s", changes+l.ended()+l.touches(), "changes %.0f, new sessions %.0f, slid expiries %.0f", changes, l.ended(), l.touches())
	row("  unthrottled", changes+l.ended()+l.rps, "if every request slid the expiry")
	row("  at worst", changes+l.ended()+l.mostTouches(), "if visitors came as seldom as costs most")
	row("removed/s", l.ended(), "in batches of at most 1000")
}
