package drivertest

import (
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
