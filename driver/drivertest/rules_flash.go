package drivertest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/flamego/session"
)

// as sends a request with header lines like those of a browser, given as pairs.
func (v *visitor) as(s *server, header []string, method, path string, args ...string) answer {
	q := make(url.Values)
	for i := 0; i+1 < len(args); i += 2 {
		q.Set(args[i], args[i+1])
	}
	req, err := http.NewRequest(method, s.url+path+"?"+q.Encode(), nil)
	if err != nil {
		return answer{err: err}
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := v.client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return answer{status: res.StatusCode, body: string(body), header: res.Header, err: err}
}

func navigates(o *session.Options) { o.TakesFlash = session.Navigation }

var (
	navigation = []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	unseen     = map[string][]string{ // requests that nobody sees
		"a poll":      {"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"},
		"a stream":    {"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Accept", "text/event-stream"},
		"a WebSocket": {"Sec-Fetch-Mode", "websocket", "Upgrade", "websocket", "Connection", "Upgrade"},
		"a prerender": append([]string{"Sec-Purpose", "prefetch;prerender"}, navigation...),
	}
)

// takesFlash has two crowds of forms leave a flash each and redirect, while the page's own
// requests go on. All flashes wait for the next page.
func takesFlash(r rule, f *fleet) {
	servers := []*server{f.start(navigates)}
	if !f.suite.ForeignStore {
		servers = append(servers, f.start(navigates))
	}
	v := newVisitor(f.t)
	v.ok(r, servers[0], "/addflash", "v", "0")
	for wave := range 2 {
		answers := gather(f.t, servers, func(i int, s *server, hold string) answer {
			return v.as(s, navigation, http.MethodPost, "/addflash", "v", strconv.Itoa(1+crowd*wave+i), "hold", hold)
		})
		for i, a := range answers {
			if a.status != http.StatusOK {
				r.broken(f.t, "POST %d: status %d, %v", i, a.status, a.err)
			}
		}
		takesNone(r, f, servers[wave%len(servers)], v)
	}
	got := v.as(servers[0], navigation, http.MethodGet, "/flashes").body
	seen := strings.Fields(strings.Trim(got, "[]"))
	slices.Sort(seen)
	if n := len(slices.Compact(slices.Clone(seen))); n != 1+2*crowd || len(seen) != n {
		r.broken(f.t, "of %d flashes the next page shows %d, %d times in all", 1+2*crowd, n, len(seen))
	}
	if again := v.as(servers[0], navigation, http.MethodGet, "/flashes").body; again != "[]" {
		r.broken(f.t, "the page after that shows %s", again)
	}
	clientTakesFlash(r, f)
}

func takesNone(r rule, f *fleet, s *server, v *visitor) {
	for name, header := range unseen {
		for path, nothing := range map[string]string{"/flashes": "[]", "/take": "nothing"} {
			if a := v.as(s, header, http.MethodGet, path); a.status != http.StatusOK || a.body != nothing {
				r.broken(f.t, "%s: status %d, %.100q, %v; want no flash", name, a.status, a.body, a.err)
			}
		}
	}
}

// clientTakesFlash leaves a flash of SetFlash, and then one of AddFlash.
func clientTakesFlash(r rule, f *fleet) {
	a, b := f.start(navigates), f.start(navigates)
	v := newVisitor(f.t)
	v.ok(r, a, "/flash", "v", "saved")
	takesNone(r, f, b, v)
	if got := v.as(a, navigation, http.MethodGet, "/take").body; got != "saved" {
		r.broken(f.t, "the page shows %q, want the flash", got)
	}
	v.ok(r, b, "/addflash", "v", "one")
	v.ok(r, a, "/addflash", "v", "two")
	takesNone(r, f, b, v)
	if got := v.as(a, navigation, http.MethodGet, "/flashes").body; got != "[one two]" {
		r.broken(f.t, "the page shows %q, want both flashes", got)
	}
}

// addFlashes has a crowd add a flash each, and another one ask for them.
func addFlashes(r rule, f *fleet) {
	servers := f.pool()
	v := newVisitor(f.t)
	v.ok(r, servers[0], "/set", "k", "k", "v", "v")
	answers := gather(f.t, servers, func(i int, s *server, hold string) answer {
		return v.get(s, "/addflash", "v", strconv.Itoa(i), "hold", hold)
	})
	for i, a := range answers {
		if a.status != http.StatusOK {
			r.broken(f.t, "AddFlash %d: status %d, %v", i, a.status, a.err)
		}
	}
	got := make([]string, crowd/2)
	together(len(got), func(i int) { got[i] = v.get(servers[i%len(servers)], "/flashes").body })
	seen := strings.Fields(strings.Trim(strings.ReplaceAll(strings.Join(got, " "), "] [", " "), "[]"))
	slices.Sort(seen)
	if n := len(slices.Compact(slices.Clone(seen))); n != crowd || len(seen) != crowd {
		r.broken(f.t, "of %d flashes added at once %d were shown, %d times in all", crowd, n, len(seen))
	}
	v.want(r, servers[0], "[]", "/flashes")
}

// flashPage is a visitor with whom flashes are tried out.
type flashPage struct {
	r rule
	f *fleet
	v *visitor
}

// ask has a handler do something, and returns what it is shown after that.
func (p flashPage) ask(s *server, fn func(call)) (res answer, list []any, single any) {
	res = p.v.do(p.f, s, func(c call) {
		if fn != nil {
			fn(c)
		}
		list, single = session.Flashes(c.Session), c.flash
	})
	return res, list, single
}

// want is ask, and fails the test unless the handler is shown this.
func (p flashPage) want(s *server, when string, fn func(call), single any, list ...any) {
	p.f.t.Helper()
	_, got, one := p.ask(s, fn)
	if fmt.Sprintf("%#v", one) != fmt.Sprintf("%#v", single) {
		p.r.broken(p.f.t, "%s: session.Flash is %#v, want %#v", when, one, single)
	}
	if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", list) && len(got)+len(list) > 0 {
		p.r.broken(p.f.t, "%s: Flashes returns %#v, want %#v", when, got, list)
	}
}

func addsFlashes(vals ...any) func(call) {
	return func(c call) {
		for _, val := range vals {
			session.AddFlash(c.Session, val)
		}
	}
}

// flashVerbs goes through what handlers do with flashes.
func flashVerbs(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	v := flashPage{r, f, newVisitor(f.t)}
	v.want(a, "SetFlash", func(c call) { c.SetFlash("one") }, nil)
	v.want(b, "after SetFlash", nil, "one", "one")
	v.want(a, "AddFlash", addsFlashes("one"), nil)
	v.want(b, "after one AddFlash", nil, []any{"one"}, "one")
	v.want(a, "AddFlash", addsFlashes("one", nil, 2, meeting{Text: "three"}), nil)
	v.want(b, "after several", addsFlashes("four"), []any{"one", 2, meeting{Text: "three"}}, "one", 2, meeting{Text: "three"})
	v.want(a, "after those", nil, []any{"four"}, "four")
	v.want(b, "once more", nil, nil)
	v.want(a, "a slice", func(c call) { c.SetFlash([]string{"one", "two"}) }, nil)
	v.want(b, "after a slice", nil, []string{"one", "two"}, []string{"one", "two"})
	v.want(a, "both", func(c call) { c.SetFlash("one"); session.AddFlash(c.Session, "two") }, nil)
	v.want(b, "after both", nil, []any{"one", "two"}, "one", "two")
	v.want(a, "replaced", func(c call) { session.AddFlash(c.Session, "two"); c.SetFlash("one") }, nil)
	v.want(b, "after it was replaced", nil, "one", "one")
	v.want(a, "flushed", func(c call) { session.AddFlash(c.Session, "one"); c.Flush(); c.Set("k", "v") }, nil)
	v.want(b, "after Flush", nil, nil)

	// More than ten, which are not in the order of their names.
	var many []any
	for i := range 25 {
		many = append(many, i)
	}
	v.want(a, "many", addsFlashes(many...), nil)
	v.want(b, "after many", nil, many, many...)

	// AddFlash makes a session, as SetFlash does.
	w := flashPage{r, f, newVisitor(f.t)}
	w.want(a, "a new visitor", addsFlashes("hello"), nil)
	w.want(b, "the same visitor", nil, []any{"hello"}, "hello")
	flashPages(r, f, a, b)
}

// flashPages has flashes that are meant for this page, or for the page after the next.
func flashPages(r rule, f *fleet, a, b *server) {
	v := flashPage{r, f, newVisitor(f.t)}
	keeps := func(c call) { session.KeepFlash(c.Session) }
	v.want(a, "SetFlash", func(c call) { c.SetFlash("one") }, nil)
	v.want(b, "KeepFlash", func(c call) { keeps(c); keeps(c) }, "one", "one")
	v.want(a, "KeepFlash again", func(c call) { addsFlashes("two")(c); keeps(c); addsFlashes("three")(c) }, "one", "one")
	v.want(b, "a list kept", keeps, []any{"one", "two", "three"}, "one", "two", "three")
	v.want(a, "after a list kept", nil, []any{"one", "two", "three"}, "one", "two", "three")
	v.want(b, "nothing to keep", keeps, nil)
	v.want(b, "after nothing", nil, nil)

	now := func(c call) { session.FlashNow(c.Session, "now") }
	v.want(a, "FlashNow", func(c call) { now(c); addsFlashes("next")(c) }, nil, "now")
	v.want(b, "FlashNow with others", func(c call) { now(c); keeps(c) }, []any{"next"}, "next", "now")
	v.want(a, "after FlashNow", nil, []any{"next"}, "next")
	res, list, _ := flashPage{r, f, newVisitor(f.t)}.ask(a, now)
	if res.cookie() != "" || len(list) != 1 {
		r.broken(f.t, "FlashNow for a visitor without a session: a cookie %v, %v", res.cookie() != "", list)
	}
}

func clientAddsFlashes(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/addflash", "v", "one")
	v.want(r, b, "[one]", "/flashes")
	v.want(r, a, "[]", "/flashes")
}
