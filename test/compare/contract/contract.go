// Package contract is what every program of the comparison has in common: the routes,
// the flags, and the orders it takes on standard input.
//
//	GET /untouched  answers "ok" and leaves the session alone
//	GET /read       answers the number of visits
//	GET /write      counts a visit, and answers the new number
//	GET /new        the same, under another name in the figures: asked for without a cookie
//	GET /fat?n=     puts n bytes into the session, and answers "ok"
//	GET /cart       puts a Cart into the session, and answers "ok"
//
// A program prints "listening ADDRESS" once it serves, and ends when its standard
// input does, so that none outlives the command that started it.
package contract

import (
	"bufio"
	"encoding/gob"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Config says where a program keeps its sessions.
type Config struct {
	Backend string // "none" for the routes without sessions
	DSN     string // the folder, the file, the address or the data source name
}

// Stats is the answer to the order "stats".
type Stats struct {
	CPU      time.Duration // of user and system, since the start of the process
	Requests int64
}

// Handler makes the routes. Its second result closes what it opened.
type Handler func(Config) (http.Handler, func() error, error)

// Main runs a program, and returns its exit status.
func Main(open Handler) int {
	if err := run(open); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// heap is what an application has in memory besides sessions. Without it the collector
// would run several hundred times a second, and the most often where the library keeps
// the least.
const heap = 64 << 20

func run(open Handler) (err error) {
	var cfg Config
	flag.StringVar(&cfg.Backend, "backend", "none", "where sessions are kept; none for the bare routes")
	flag.StringVar(&cfg.DSN, "dsn", "", "the folder, file, address or data source name of the backend")
	addr := flag.String("addr", "127.0.0.1:0", "where to listen")
	profile := flag.String("cpuprofile", "", "write a CPU profile to this file")
	flag.Parse()
	defer runtime.KeepAlive(make([]byte, heap))
	routes, closeStore, err := open(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	var requests atomic.Int64
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			routes.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: 10 * time.Second,
	}
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer func() {
			pprof.StopCPUProfile()
			err = errors.Join(err, f.Close())
		}()
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	fmt.Println("listening", l.Addr())
	go func() {
		failed <- obey(routes, &requests)
		_ = srv.Close()
	}()
	return <-failed
}

// obey carries out one order a line, until there are no more:
//
//	stats    answers with Stats as JSON
//	fill N   makes N sessions, in this process, and answers with the cookies of some
func obey(routes http.Handler, requests *atomic.Int64) error {
	out := json.NewEncoder(os.Stdout)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		order, arg, _ := strings.Cut(in.Text(), " ")
		switch order {
		case "stats":
			cpu, err := cpuTime()
			if err != nil {
				return err
			}
			if err := out.Encode(Stats{CPU: cpu, Requests: requests.Load()}); err != nil {
				return err
			}
		case "fill":
			n, err := strconv.Atoi(arg)
			if err != nil {
				return err
			}
			if err := out.Encode(fill(routes, n)); err != nil {
				return err
			}
		default:
			return fmt.Errorf("no such order: %q", order)
		}
	}
	return nil
}

// cpuTime is what the kernel has accounted to this process, the collector included.
func cpuTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

const (
	fillers = 32   // goroutines that make sessions
	sample  = 4096 // cookies that fill tells, at most
)

// fill makes n sessions as visitors would, only without a network in between. It
// answers with cookies that are spread evenly over all of them.
func fill(routes http.Handler, n int) []string {
	var next atomic.Int64
	var mu sync.Mutex
	var cookies []string
	step := max(1, int64(n)/sample)
	// Nobody measures meanwhile, and marking what grows takes longer than making it.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	var wg sync.WaitGroup
	for range min(n, fillers) {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(n) {
					return
				}
				w := nowhere{make(http.Header)}
				routes.ServeHTTP(w, &http.Request{
					Method: http.MethodGet, URL: &url.URL{Path: "/new"}, RequestURI: "/new", Host: "compare", RemoteAddr: "127.0.0.1:1",
					Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header), Body: http.NoBody,
				})
				if c, _, ok := strings.Cut(w.header.Get("Set-Cookie"), ";"); ok && i%step == 0 {
					mu.Lock()
					cookies = append(cookies, c)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return cookies
}

// nowhere is where answers go that nobody reads.
type nowhere struct{ header http.Header }

func (w nowhere) Header() http.Header         { return w.header }
func (w nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (w nowhere) WriteHeader(int)             {}

// Cart is a struct as shops keep one in a session.
type Cart struct {
	Lines   []Line
	Coupon  string
	Updated time.Time
	Notes   map[string]string
}

// Line is a line of a Cart.
type Line struct {
	SKU   string
	Count int
	Price float64
}

func init() { gob.Register(Cart{}) }

// NewCart is what /cart puts into a session, the same each time.
func NewCart() Cart {
	return Cart{
		Lines:   []Line{{"tea", 2, 4.5}, {"cup", 1, 12}, {"spoon", 6, 1.25}},
		Coupon:  "AUTUMN",
		Updated: time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC),
		Notes:   map[string]string{"gift": "yes", "from": "a friend"},
	}
}

// Payload is what /fat puts into a session: n bytes, the same ones each time.
func Payload(n string) (string, error) {
	size, err := strconv.Atoi(n)
	if err != nil || size < 0 || size > 64<<20 {
		return "", fmt.Errorf("n is %q: give a number of bytes", n)
	}
	return strings.Repeat("abcdefgh", size/8+1)[:size], nil
}
