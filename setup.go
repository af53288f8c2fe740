package session

import (
	"context"
	"fmt"
	"hash/maphash"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/flamego/session/internal/carry"
	"github.com/flamego/session/internal/txn"
)

// setup records configuration mistakes that were detected. They are not errors at start, since
// an application may rely on what still works. Each is reported once.
type setup struct {
	number uint16       // of the Manager
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

// issues holds the IDs that rivals have issued lately: a hash, and the number of the Manager.
var (
	issues     [1 << 10]atomic.Uint64
	issueSeed  = maphash.MakeSeed()
	lastNumber atomic.Uint32
)

func issueOf(token string) (slot *atomic.Uint64, sum uint64) {
	sum = maphash.String(issueSeed, token)
	return &issues[sum%uint64(len(issues))], sum &^ 0xffff
}

// issued records a new ID, if there is a rival that might receive it.
func (m *Manager) issued(token txn.Token) {
	if m.setup.rivals.Load() {
		slot, sum := issueOf(string(token))
		slot.Store(sum | uint64(m.setup.number))
	}
}

// mostLooks is the maximum number of times that a Manager looks into a rival's store.
const mostLooks = 32

// checkRival reports an ID that this Manager's store does not have, and a rival's does: they
// run on one host, since a browser has sent one's cookie to the other.
func (m *Manager) checkRival(r *http.Request, token string) {
	if !m.setup.rivals.Load() || m.setup.rival.Load() {
		return
	}
	slot, sum := issueOf(token)
	got := slot.Load()
	if got&^0xffff != sum {
		return
	}
	o := m.rival(uint16(got))
	if o == nil || m.setup.looks.Add(1) > mostLooks {
		return
	}
	ctx, cancel := o.deadline(context.WithoutCancel(r.Context()))
	defer cancel()
	// Two Managers may share a store in a way that cannot be detected. Then the session is
	// gone there too.
	if o.outer.Exist(ctx, token) && !m.setup.rival.Swap(true) {
		m.report(r.Context(), fmt.Errorf("session: load: the cookie %q has come with an ID of another Manager on this host, so in browsers the sessions of the two replace each other: set another Cookie.Name for one of them", m.opt.Cookie.Name))
	}
}

// rival returns the running rival with that number, or nil.
func (m *Manager) rival(number uint16) *Manager {
	running.mu.Lock()
	defer running.mu.Unlock()
	for _, o := range running.managers {
		if o != m && o.setup.number == number && m.rivals(o) {
			return o
		}
	}
	return nil
}
