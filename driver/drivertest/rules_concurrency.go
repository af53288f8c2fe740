package drivertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flamego/session/internal/wait"
)

// crowd is how many requests come at once.
const crowd = 64

// pool returns the servers a crowd is spread over.
func (f *fleet) pool() []*server {
	if f.again != nil {
		return []*server{&f.again().server, &f.again().server}
	}
	if f.suite.ForeignStore {
		return []*server{f.start(nil)}
	}
	return []*server{f.start(nil), f.start(nil)}
}

// manyVisitors has a crowd of visitors who come again and again, each with a session of
// its own that counts along, and strangers with dead IDs among them.
func manyVisitors(r rule, f *fleet) {
	const visits = 8
	servers := f.pool()
	together(crowd, func(i int) {
		if i%8 == 7 {
			v := stranger(f.t, servers[0], strings.Repeat(string(rune('a'+i%26)), 32))
			for range visits {
				v.want(r, servers[i%len(servers)], "nothing", "/read", "k", "name")
			}
			return
		}
		v, name := newVisitor(f.t), fmt.Sprint("visitor ", i)
		v.ok(r, servers[0], "/set", "k", "name", "v", name)
		for n := range visits {
			s := servers[(i+n)%len(servers)]
			v.want(r, s, name, "/read", "k", "name")
			v.ok(r, s, "/add", "k", "n")
			v.want(r, s, strconv.Itoa(n+1), "/read", "k", "n")
		}
	})
}

func differentKeys(r rule, f *fleet) { keysSurvive(r, f.t, []*server{f.start(nil)}) }
func acrossServers(r rule, f *fleet) { keysSurvive(r, f.t, f.pool()) }

// gather sends a crowd of requests and lets them go on when all of them have loaded
// the session, so that each but one comes too late.
func gather(t *testing.T, servers []*server, send func(i int, s *server, hold string) answer) []answer {
	t.Helper()
	hold := fmt.Sprint("crowd", time.Now().UnixNano())
	answers := make([]answer, crowd)
	var sent sync.WaitGroup
	for i := range answers {
		sent.Go(func() { answers[i] = send(i, servers[i%len(servers)], hold) })
	}
	for i := range answers {
		(&held{server: servers[i%len(servers)], name: hold}).wait(t)
	}
	for _, s := range servers {
		(&held{server: s, name: hold}).release(t)
	}
	sent.Wait()
	return answers
}

// keysSurvive has a crowd set a key each in one session, at the same time.
func keysSurvive(r rule, t *testing.T, servers []*server) {
	t.Helper()
	v := newVisitor(t)
	v.ok(r, servers[0], "/set", "k", "first", "v", "1")
	answers := gather(t, servers, func(i int, s *server, hold string) answer {
		k := strconv.Itoa(i)
		return v.get(s, "/set", "k", "key"+k, "v", k, "hold", hold)
	})
	survived := 0
	for i, a := range answers {
		if a.status != http.StatusOK {
			r.broken(t, "request %d: status %d, %v", i, a.status, a.err)
		}
		if v.get(servers[(i+1)%len(servers)], "/read", "k", fmt.Sprint("key", i)).body == strconv.Itoa(i) {
			survived++
		}
	}
	if survived != crowd {
		r.broken(t, "of %d keys set at once %d survived", crowd, survived)
	}
	v.want(r, servers[0], "1", "/read", "k", "first")
}

func updates(r rule, f *fleet) { updatesAdd(r, f.t, f.pool()) }

// updatesAdd has a crowd count in one session, at the same time.
func updatesAdd(r rule, t *testing.T, servers []*server) {
	t.Helper()
	v := newVisitor(t)
	v.ok(r, servers[0], "/set", "k", "first", "v", "1")
	answers := gather(t, servers, func(_ int, s *server, hold string) answer {
		return v.get(s, "/add", "k", "n", "hold", hold)
	})
	for i, a := range answers {
		if a.status != http.StatusOK {
			r.broken(t, "Update %d: status %d, %v", i, a.status, a.err)
		}
	}
	v.want(r, servers[0], strconv.Itoa(crowd), "/read", "k", "n")
}

func lastSetWins(r rule, f *fleet) {
	s := f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, s, "/set", "k", "k", "v", "start")
	long := strings.Repeat("slow", 1000)
	if f.suite.ClientSide {
		long = long[:2000] // A cookie holds no more.
	}
	slow := v.hold(f, s, "/set", "k", "k", "v", long)
	v.ok(r, s, "/set", "k", "k", "v", "quick")
	v.want(r, s, "quick", "/read", "k", "k")
	if a := slow.finish(f.t); a.status != http.StatusOK {
		r.broken(f.t, "the slow request: status %d", a.status)
	}
	v.want(r, s, long, "/read", "k", "k")
}

func flashOnce(r rule, f *fleet) {
	servers := f.pool()
	for range 5 {
		oneFlash(r, f, servers)
	}
	// It comes with the next request, even if that one does not ask.
	v := newVisitor(f.t)
	v.ok(r, servers[0], "/flash", "v", "seen?")
	v.ok(r, servers[0], "/untouched")
	v.want(r, servers[0], "nothing", "/take")
}

// oneFlash has half a crowd ask for one flash, all with the same version loaded.
func oneFlash(r rule, f *fleet, servers []*server) {
	f.t.Helper()
	t := f.t
	v := newVisitor(t)
	v.ok(r, servers[0], "/flash", "v", "saved", "meet", t.Name()+f.name(), "heads", strconv.Itoa(crowd/8/f.processes()))
	got := make([]string, crowd/2)
	together(len(got), func(i int) { got[i] = v.get(servers[i%len(servers)], "/take").body })
	seen := 0
	for _, body := range got {
		switch body {
		case "saved":
			seen++
		case "nothing":
		default:
			r.broken(t, "a request for the flash got %q", body)
		}
	}
	if seen != 1 {
		r.broken(t, "of %d requests at once %d got the flash", len(got), seen)
	}
	v.want(r, servers[0], "nothing", "/take")
}

// processes is over how many processes the fleet is spread.
func (f *fleet) processes() int {
	if f.again != nil {
		return 2
	}
	return 1
}

func noFlash(r rule, f *fleet) {
	s := f.start(nil)
	v := newVisitor(f.t)
	v.want(r, s, "nothing", "/take") // without a session
	v.ok(r, s, "/set", "k", "k", "v", "v")
	v.want(r, s, "nothing", "/take") // with one
}

func staysEnded(r rule, f *fleet) {
	servers := f.pool()
	for _, page := range []string{"/set", "/add", "/flash", "/rotate"} {
		noRevival(r, f, servers[0], servers[len(servers)-1], page, "/destroy")
	}
}

// noRevival ends a session while a request that changes it is held.
func noRevival(r rule, f *fleet, a, b *server, page, end string) {
	f.t.Helper()
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "user", "v", "1")
	tab := v.twin(a) // It hears of no cookie that the others are sent.
	old := tab.id(a)
	var slow *held
	if page == "/flash" { // It has no barrier of its own.
		slow = tab.hold(f, a, "/set", "k", "other", "v", "x")
	} else {
		slow = tab.hold(f, a, page, "k", "n", "v", "1")
	}
	res := v.ok(r, b, end)
	if (end == "/destroy" || !f.suite.ForeignStore) && !strings.Contains(res.header.Get("Set-Cookie"), "Max-Age=0") {
		r.broken(f.t, "%s does not remove the cookie: %q", end, res.header.Values("Set-Cookie"))
	}
	if got := stranger(f.t, b, old).get(b, "/read", "k", "user"); got.body != "nothing" {
		r.broken(f.t, "the session that was ended holds %q", got.body)
	}
	if a := slow.finish(f.t); a.status != http.StatusOK || a.header.Get("Set-Cookie") != "" {
		r.broken(f.t, "%s: the slow request of an ended session: %d, %v", page, a.status, a.header)
	}
	for _, s := range []*server{a, b} {
		for _, key := range []string{"user", "n", "other"} {
			if got := stranger(f.t, s, old).get(s, "/read", "k", key); got.body != "nothing" {
				r.broken(f.t, "%s brought the ended session back: %s is %q", page, key, got.body)
			}
		}
	}
}

func storeDestroy(r rule, f *fleet) {
	a := f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "user", "v", "1")
	old := v.id(a)
	v.ok(r, a, "/logout")
	if !f.suite.ForeignStore && v.id(a) != "" {
		r.broken(f.t, "the cookie is still there")
	}
	if got := stranger(f.t, a, old).get(a, "/read", "k", "user"); got.body != "nothing" {
		r.broken(f.t, "the session that was ended holds %q", got.body)
	}
	// Nor does a slow request bring it back.
	for _, page := range []string{"/set", "/rotate"} {
		noRevival(r, f, a, a, page, "/logout")
	}
	// Who has no session gets none by signing out.
	if res := newVisitor(f.t).ok(r, a, "/logout"); !f.suite.ForeignStore && res.cookie() != "" {
		r.broken(f.t, "signing out made a session")
	}
}

func freshAfterDestroy(r rule, f *fleet) {
	a := f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "old", "v", "1")
	old := v.id(a)
	v.ok(r, a, "/do", "fn", f.fn(a, func(c call) {
		destroyAndSet(c)
	}))
	if v.id(a) == old || v.id(a) == "" {
		r.broken(f.t, "after Destroy and Set the ID is the old one, or none")
	}
	v.want(r, a, "1", "/read", "k", "new")
	v.want(r, a, "nothing", "/read", "k", "old")
	if got := stranger(f.t, a, old).get(a, "/read", "k", "old"); got.body != "nothing" {
		r.broken(f.t, "the old session holds %q", got.body)
	}
}

func rotation(r rule, f *fleet) {
	servers := f.pool()
	a, b := servers[0], servers[len(servers)-1]
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "user", "v", "guest")
	thief := v.twin(a)
	h := f.name()
	res, err := v.send(context.Background(), a, "/signin", "v", "member", "hold", h)
	if err != nil || res.StatusCode != http.StatusFound {
		f.t.Fatalf("signing in: %v, %v", res, err)
	}
	defer func() { _ = res.Body.Close() }()
	// From the moment the response starts, on every server.
	if v.id(a) == thief.id(a) {
		r.broken(f.t, "the ID did not change")
	}
	v.want(r, b, "member", "/read", "k", "user")
	thief.want(r, b, "nothing", "/read", "k", "user")
	(&held{server: a, name: h}).release(f.t)
	thief.want(r, a, "nothing", "/read", "k", "user")
	// Writing with the old ID does not revive it, nor does it set a cookie over that of
	// the session that has moved.
	res2 := thief.ok(r, a, "/set", "k", "user", "v", "thief")
	if res2.cookie() != "" && !f.suite.ForeignStore {
		r.broken(f.t, "a request with the old ID got a cookie, which may arrive after that of the rotation")
	}
	thief.twin(a).want(r, b, map[bool]string{false: "nothing", true: "thief"}[f.suite.ForeignStore], "/read", "k", "user")
	v.want(r, b, "member", "/read", "k", "user")
}

// signOutDuringRotation signs out with a request that began before the session moved.
func signOutDuringRotation(r rule, f *fleet) {
	servers := f.pool()
	a, b := servers[0], servers[1]
	for _, times := range []int{1, 2} {
		v := newVisitor(f.t)
		v.ok(r, a, "/set", "k", "user", "v", "1")
		slow := v.twin(a).hold(f, a, "/destroy")
		for range times {
			v.ok(r, b, "/rotate")
		}
		if a := slow.finish(f.t); a.status != http.StatusOK {
			r.broken(f.t, "signing out: status %d", a.status)
		}
		v.want(r, a, "nothing", "/read", "k", "user")
		v.want(r, b, "nothing", "/read", "k", "user")
	}
}

func rotationMerges(r rule, f *fleet) {
	servers := f.pool()
	a, b := servers[0], servers[1]
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "first", "v", "1")
	tab := v.twin(a)
	slow := v.hold(f, a, "/rotate")
	tab.ok(r, b, "/set", "k", "second", "v", "2")
	if a := slow.finish(f.t); a.status != http.StatusOK {
		r.broken(f.t, "the rotation: status %d", a.status)
	}
	v.want(r, b, "1", "/read", "k", "first")
	v.want(r, b, "2", "/read", "k", "second")
	tab.want(r, b, "nothing", "/read", "k", "second")
}

// clientGone hangs up while the handler works.
func clientGone(r rule, f *fleet) {
	clientGoes(r, f, func(a *server, v *visitor) bool { return v.get(a, "/read", "k", "k").body == "after" })
}

func clientGoes(r rule, f *fleet, done func(*server, *visitor) bool) {
	f.t.Helper()
	a := f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "k", "v", "before")
	ctx, cancel := context.WithCancel(context.Background())
	h := &held{server: a, name: f.name()}
	gone := make(chan error)
	go func() {
		res, err := v.send(ctx, a, "/set", "k", "k", "v", "after", "hold", h.name, "gone", "1")
		if err == nil {
			_ = res.Body.Close()
		}
		gone <- err
	}()
	h.wait(f.t)
	cancel()
	if err := <-gone; err == nil {
		f.t.Fatal("the client did not hang up")
	}
	h.release(f.t)
	if !eventually(func() bool { return done(a, v) }) {
		r.broken(f.t, "the session of a client that hung up is not what it should be; errors %v", a.errs.all())
	}
}

// eventually asks again and again, for ten seconds at most.
func eventually(ok func() bool) bool {
	return wait.Until(10*time.Second, func() error {
		if ok() {
			return nil
		}
		return errors.New("no")
	}) == nil
}
