package drivertest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/child"
)

const (
	envStore = "DRIVERTEST_STORE"
	envArg   = "DRIVERTEST_ARG"
)

// Main is to be called by the TestMain of a package that calls Processes. In a process
// that Processes has started it runs a server; otherwise it runs the tests. Either way it
// ends the process. stores maps names to functions that return the options of a server;
// their argument comes from the test, and says what the servers share, such as a file or a
// DSN.
func Main(m *testing.M, stores map[string]func(arg string) session.Options) {
	name, ok := os.LookupEnv(envStore)
	if !ok {
		os.Exit(m.Run())
	}
	open := stores[name]
	if open == nil {
		fmt.Fprintf(os.Stderr, "drivertest: Main has no store %q\n", name)
		os.Exit(2)
	}
	if err := serve(open(os.Getenv(envArg))); err != nil {
		fmt.Fprintln(os.Stderr, "drivertest:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve runs one server until the standard input ends, as it does when the test
// is gone.
func serve(opt session.Options) error {
	m, err := session.NewManager(opt)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: newProbe().handler(m), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		fmt.Printf("listening http://%s\n", l.Addr())
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = srv.Close()
	}()
	if err := srv.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return m.Close(context.Background())
}

// process is a server in a process of its own.
type process struct {
	server
	*child.Process
}

func startProcess(t *testing.T, store, arg string) *process {
	t.Helper()
	p := &process{Process: child.Again(t, envStore+"="+store, envArg+"="+arg)}
	line := p.Line()
	url, ok := strings.CutPrefix(line, "listening ")
	if !ok {
		t.Fatalf("the server process does not start: %q: does TestMain call drivertest.Main?", line)
	}
	p.url, p.name = url, "flamego_session"
	t.Cleanup(func() { _ = p.End() }) // The gentle way.
	return p
}

// Processes tests the guarantees about concurrency and crashes with server processes that
// share a store. open is called for each subtest; it prepares an empty store, and returns
// the argument for the function that Main has under the name store. The package's TestMain
// must call Main.
func Processes(t *testing.T, store string, open func(t *testing.T) (arg string)) {
	t.Helper()
	for _, r := range processRules {
		t.Run(r.name, func(t *testing.T) {
			arg := open(t)
			f := &fleet{t: t, clock: new(clock)}
			f.again = func() *process { return startProcess(t, store, arg) }
			r.test(r, f)
		})
	}
}

// few reports whether what is a matter of chance is tried only some times: with
// go test -short, or if DRIVERTEST_FEW is set.
func few() bool { return testing.Short() || os.Getenv("DRIVERTEST_FEW") != "" }

// rounds are those of the process rules.
func rounds(t *testing.T, n int) int {
	t.Helper()
	if few() {
		return max(1, n/10)
	}
	return n
}

var processRules = []rule{
	{name: "G2_RedirectRace", test: processRedirects, why: "The target of a redirect, on another server, must see what was set, be it followed the instant the header arrives."},
	{name: "G4_AcrossServers", test: processKeys, why: "Changes made on different servers merge, key by key."},
	{name: "G4_Update", test: processUpdates, why: "A counter that loses counts is no counter."},
	{name: "G5_FlashOnce", test: processFlash, why: "Of all requests, on all servers, one gets the flash."},
	{name: "G6_EndedStaysEnded", test: staysEnded, why: "A slow request must not bring a signed-out user back (OWASP ASVS 5.0 7.4.1)."},
	{name: "G7_RotationMoves", test: rotation, why: "The old ID is dead on every server from the moment the response starts (OWASP ASVS 5.0 7.2.4)."},
	{name: "G7_RotationMerges", test: rotationMerges, why: "A change that another request made during the rotation must move along."},
	{name: "G8_StrictIDs", test: processStrict, why: "Adopting an ID that the server did not give out is session fixation."},
	{name: "G17_EndAll", test: processOwners, why: "What was signed in before all was ended has ended, and what lives is listed, whatever else goes on."},
	{name: "G17_SignInMeetsEndAll", test: processSignIns, why: "A sign-in that other requests of the visitor get in the way of must not escape the end of all."},
	{name: "G15_Kill", test: processKill, why: "kill -9 leaves every session at a whole version, and no acknowledged write is lost."},
}

func processRedirects(r rule, f *fleet) {
	servers := f.pool()
	n, stale := rounds(f.t, 300), 0
	for i := range n {
		if !redirectRace(r, f.t, f.name(), newVisitor(f.t), servers[i%2], servers[1-i%2], fmt.Sprint("user", i)) {
			stale++
		}
	}
	f.t.Logf("%d redirects followed, %d stale reads", n, stale)
}

func processKeys(r rule, f *fleet) {
	servers := f.pool()
	for range rounds(f.t, 5) {
		keysSurvive(r, f.t, servers)
	}
}

func processUpdates(r rule, f *fleet) { updatesAdd(r, f.t, f.pool()) }

func processFlash(r rule, f *fleet) {
	servers := f.pool()
	for range rounds(f.t, 50) {
		oneFlash(r, f, servers)
	}
}

func processStrict(r rule, f *fleet) {
	servers := f.pool()
	forged := strings.Repeat("b", 32)
	v := stranger(f.t, servers[0], forged)
	v.ok(r, servers[0], "/set", "k", "k", "v", "victim")
	if v.id(servers[0]) == forged {
		r.broken(f.t, "an ID of the client's making was adopted")
	}
	stranger(f.t, servers[1], forged).want(r, servers[1], "nothing", "/read", "k", "k")
}

// processKill kills a server in a burst of writes, and asks its successor.
func processKill(r rule, f *fleet) {
	const writers = 8
	p := f.again()
	visitors := make([]*visitor, writers)
	acked := make([]int, writers)
	for i := range visitors {
		visitors[i] = newVisitor(f.t)
		visitors[i].ok(r, &p.server, "/set", "k", "n", "v", "0")
	}
	total := 0
	for round := range rounds(f.t, 20) {
		var count atomic.Int64
		died := make(chan struct{})
		target := p
		go func() {
			defer close(died)
			// After a number of writes that differs from round to round.
			for end := time.Now().Add(10 * time.Second); count.Load() < int64(20+7*round) && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			target.Kill()
		}()
		together(writers, func(i int) {
			for n := acked[i] + 1; ; n++ {
				res := visitors[i].get(&target.server, "/set", "k", "n", "v", strconv.Itoa(n))
				if res.status != http.StatusOK {
					return
				}
				acked[i] = n
				count.Add(1)
			}
		})
		<-died
		p = f.again()
		for i, v := range visitors {
			res := v.get(&p.server, "/read", "k", "n")
			got, err := strconv.Atoi(res.body)
			// One write more may have been stored before it could be acknowledged.
			if err != nil || got != acked[i] && got != acked[i]+1 {
				r.broken(f.t, "round %d, session %d: %d was acknowledged, and %q (status %d) is stored", round, i, acked[i], res.body, res.status)
				continue
			}
			acked[i] = got
		}
		total += int(count.Load())
	}
	f.t.Logf("%d writes acknowledged around the kills", total)
}
