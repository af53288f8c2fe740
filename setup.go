package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/flamego/session/driver"
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

// running holds the Managers of this process that are not closed.
var running struct {
	mu       sync.Mutex
	managers []*Manager
}

// register compares a new Manager with the running ones. If two share a store, an ID of one must
// not be valid for the other: the place in each record tells them apart. Two ReadIDFuncs need
// places with different names. An application's own Store stores the place only when two
// Managers use it.
func (m *Manager) register() error {
	running.mu.Lock()
	defer running.mu.Unlock()
	for _, o := range running.managers {
		switch {
		case m.rivals(o):
			m.setup.rivals.Store(true)
			o.setup.rivals.Store(true)
		case !m.sharesStoreWith(o):
		case m.at != o.at:
			m.placed.Store(true)
			o.placed.Store(true)
		case m.opt.ReadIDFunc != nil && !isSameClosure(m.opt.ReadIDFunc, o.opt.ReadIDFunc):
			return errors.New("ReadIDFunc: another Manager has the same store and the same Cookie.Name, which names the place that a ReadIDFunc reads, so an ID of one would be valid for the other: set another Cookie.Name for one of them")
		}
	}
	running.managers = append(running.managers, m)
	return nil
}

// unregister removes a Manager, and reports whether no other uses the Store.
func (m *Manager) unregister() (last bool) {
	running.mu.Lock()
	defer running.mu.Unlock()
	running.managers = slices.DeleteFunc(running.managers, func(o *Manager) bool { return o == m })
	return !slices.ContainsFunc(running.managers, m.hasSameStore)
}

func (m *Manager) hasSameStore(o *Manager) bool {
	return isSameValue(m.core.Engine, o.core.Engine) || isSameValue(m.outer, o.outer) || isSameValue(m.backend(), o.backend())
}

// sharesStoreWith reports whether two Managers have the same store, as far as this process
// can see: the same Store or Backend, or equal names of a database, a table or a folder in
// their Configs.
func (m *Manager) sharesStoreWith(o *Manager) bool {
	if m.hasSameStore(o) {
		return true
	}
	a, b := reflect.Indirect(reflect.ValueOf(m.opt.Config)), reflect.Indirect(reflect.ValueOf(o.opt.Config))
	if m.core.Traits.Local && !m.core.Traits.Client || a.Kind() != reflect.Struct || b.Kind() != reflect.Struct || a.Type() != b.Type() {
		return false
	}
	for i := range a.NumField() {
		switch a.Field(i).Kind() {
		case reflect.String, reflect.Pointer, reflect.Interface, reflect.Slice:
			if a.Type().Field(i).IsExported() && !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
				return false
			}
		}
	}
	return a.NumField() > 0
}

// backend returns the Backend of the Store, or nil.
func (m *Manager) backend() driver.Backend {
	if e, ok := m.core.Engine.(interface{ Backend() driver.Backend }); ok {
		return e.Backend()
	}
	return nil
}

func isSameValue(a, b any) bool {
	return a != nil && b != nil && reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// isSameClosure reports whether two functions are the same and capture the same variables.
func isSameClosure[F any](a, b F) bool {
	return *(*unsafe.Pointer)(unsafe.Pointer(&a)) == *(*unsafe.Pointer)(unsafe.Pointer(&b))
}
