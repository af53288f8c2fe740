package session

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/flamego/session/internal/carry"
)

// setup records configuration mistakes that were detected. They are not errors at start, since
// an application may rely on what still works. Each is reported once.
type setup struct {
	looks  atomic.Int32 // into rivals' stores
	rivals atomic.Bool  // another Manager of the process has the same cookie for another store
	host   atomic.Bool  // reported: the cookie is not for the host
	rival  atomic.Bool  // reported: the other Manager's cookies come here
}

// setsCookie reports whether the library itself sets the cookie.
func (m *Manager) setsCookie() bool {
	return m.opt.WriteIDFunc == nil && slices.ContainsFunc(m.opt.transports(), func(t Transport) bool { return t.kind == byCookie })
}

// checkPath reports a path that excludes its own first page.
func (m *Manager) checkPath() {
	if path := m.opt.Cookie.Path; path != "/" && strings.HasSuffix(path, "/") && m.setsCookie() {
		m.report(context.Background(), fmt.Errorf("session: Cookie.Path %q: browsers do not send the cookie to %q, where each request begins a new session: leave out the slash at the end", path, strings.TrimRight(path, "/")))
	}
}

// checkHost reports a domain that does not include the host: browsers refuse such a cookie.
func (m *Manager) checkHost(r *http.Request) {
	domain := strings.ToLower(strings.TrimPrefix(m.opt.Cookie.Domain, "."))
	if domain == "" || m.setup.host.Load() {
		return
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host != domain && !strings.HasSuffix(host, "."+domain) && m.setsCookie() && !m.setup.host.Swap(true) {
		m.report(r.Context(), fmt.Errorf("session: Cookie.Domain %q does not include the host %q, so browsers refuse the cookie, and each request begins a new session: leave Cookie.Domain out, or have the proxy in front pass on the Host header", domain, host))
	}
}

// rivals reports whether the cookies of two Managers replace each other in browsers, and each
// then finds an ID that its store does not have. Sessions that clients keep are not checked:
// they have another key, and since anybody can make such a cookie, it is not worth a line in
// the log.
func (m *Manager) rivals(o *Manager) bool {
	a, b := m.opt.Cookie, o.opt.Cookie
	return !m.core.Traits.Client && !o.core.Traits.Client && a.Name == b.Name && a.Path == b.Path && carry.SameDomain(a.Domain, b.Domain) &&
		m.setsCookie() && o.setsCookie() && !m.sharesStoreWith(o)
}

// mostLooks is the maximum number of IDs that a Manager looks for in the stores of its rivals:
// anybody can send IDs.
const mostLooks = 1000

// lookFor is how long one look may take: a rival's outage must not become this Manager's.
const lookFor = 100 * time.Millisecond

// checkRival reports an ID that this Manager's store does not have, and a rival's does: they
// run on one host, since a browser has sent one's cookie to the other.
func (m *Manager) checkRival(r *http.Request, token string) {
	if !m.setup.rivals.Load() || m.setup.rival.Load() || m.setup.looks.Add(1) > mostLooks {
		return
	}
	for _, o := range m.runningRivals() {
		ctx, cancel := o.store.within(context.WithoutCancel(r.Context()), lookFor)
		defer cancel()
		// Two Managers may share a store in a way that cannot be detected. Then the session is
		// gone there too.
		if o.outer.Exist(ctx, token) && !m.setup.rival.Swap(true) {
			m.report(r.Context(), fmt.Errorf("session: load: the cookie %q has come with an ID of another Manager on this host, so in browsers the sessions of the two replace each other: set another Cookie.Name for one of them", m.opt.Cookie.Name))
		}
	}
}

func (m *Manager) runningRivals() (list []*Manager) {
	running.mu.Lock()
	defer running.mu.Unlock()
	for _, o := range running.managers {
		if o != m && m.rivals(o) {
			list = append(list, o)
		}
	}
	return list
}
