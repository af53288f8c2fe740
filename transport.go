package session

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/carry"
	"github.com/flamego/session/internal/txn"
)

// Transport carries the session ID between client and server: CookieTransport,
// HeaderTransport, BearerTransport, QueryTransport, or FirstOf several. The zero value is
// CookieTransport. IDs are read only from the transports in Options.Transport.
type Transport struct {
	kind transportKind
	name string
	list []Transport
}

type transportKind int

const (
	byCookie transportKind = iota
	byHeader
	byBearer
	byQuery
	byFirst
)

// CookieTransport uses the cookie that Options.Cookie describes. It is the default, and the
// right choice for everything that runs in a browser: only a cookie is out of reach of
// scripts.
func CookieTransport() Transport { return Transport{} }

// HeaderTransport uses the header of the given name, in requests and in responses: for apps
// and other programs. A response has the header when the ID is new; the header is empty when
// the session has ended. A request with more than one such header has no session. The name
// consists of letters, digits and hyphens only, since proxies drop other headers, above all
// those with an underscore.
func HeaderTransport(name string) Transport { return Transport{kind: byHeader, name: name} }

// BearerTransport uses the Bearer scheme of the Authorization header (RFC 6750). A response
// sends a new ID in the same header, and an empty header when the session has ended. The
// handler may also send Session.ID in a body.
func BearerTransport() Transport { return Transport{kind: byBearer, name: "Authorization"} }

// QueryTransport uses the query parameter of the given name, for clients without cookies.
// Build the URLs in pages and redirects with URL. Anyone who has such a URL has the session,
// so every response to such a request carries Referrer-Policy: no-referrer and Cache-Control:
// no-store. Use it only where URLs are not shared, and never for sign-ins that matter (OWASP
// ASVS 5.0 14.2.1).
func QueryTransport(name string) Transport { return Transport{kind: byQuery, name: name} }

// FirstOf uses the first of several transports that brings the ID of a live session, and the
// session stays with that transport. The ID of a new session is sent by the first transport in
// the list, and by URL if one of them is QueryTransport.
func FirstOf(transports ...Transport) Transport { return Transport{kind: byFirst, list: transports} }

// check returns an error if the transport cannot work.
func (t Transport) check() error {
	switch t.kind {
	case byHeader:
		if !isToken(t.name) {
			return fmt.Errorf("Transport: the header name %q is not a token (RFC 9110, section 5.6.2): use letters, digits and hyphens", t.name)
		}
		if strings.Trim(t.name, letters62+"-") != "" {
			return fmt.Errorf("Transport: the header name %q: proxies such as nginx drop headers with an underscore or other such characters in their names: use letters, digits and hyphens", t.name)
		}
		switch name := http.CanonicalHeaderKey(t.name); name {
		case "Cookie", "Set-Cookie":
			return fmt.Errorf("Transport: the header %s belongs to cookies: use session.CookieTransport", name)
		case "Authorization":
			return fmt.Errorf("Transport: the header %s has a scheme before the value: use session.BearerTransport", name)
		case "Host", "Connection", "Content-Length", "Content-Type", "Transfer-Encoding", "Location", "Vary", "Cache-Control":
			return fmt.Errorf("Transport: the header %s has a meaning of its own: use one that has none, such as X-Session", name)
		}
	case byQuery:
		if t.name == "" || strings.Trim(t.name, unreserved) != "" {
			return fmt.Errorf("Transport: the query parameter %q: use letters, digits, hyphens and underscores", t.name)
		}
	case byFirst:
		if len(t.list) == 0 {
			return errors.New("Transport: session.FirstOf needs at least one transport: give one, or leave Transport out for the cookie")
		}
		seen := make(map[string]bool)
		for _, one := range t.list {
			if one.kind == byFirst {
				return errors.New("Transport: session.FirstOf inside of session.FirstOf: list all transports in one")
			}
			if err := one.check(); err != nil {
				return err
			}
			key := fmt.Sprint(one.kind, strings.ToLower(one.name))
			if seen[key] {
				return fmt.Errorf("Transport: session.FirstOf names the same transport twice%s: name it once", quoted(one.name))
			}
			seen[key] = true
		}
	}
	return nil
}

func (t Transport) has(kind transportKind) bool {
	return t.kind == kind || slices.ContainsFunc(t.list, func(one Transport) bool { return one.kind == kind })
}

func quoted(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(" (%q)", name)
}

const (
	letters62  = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	unreserved = letters62 + "-_.~"            // RFC 3986, section 2.3
	tokenChars = letters62 + "!#$%&'*+-.^_`|~" // RFC 9110, section 5.6.2
)

func isToken(s string) bool { return s != "" && strings.Trim(s, tokenChars) == "" }

// place is where the client keeps the ID: a cookie, a header or a query parameter, with its
// name. A session made for one place is not valid in another.
type place struct{ kind, name string }

func (p place) String() string { return p.kind + " " + p.name }

// place is where IDs are read: the cookie if that is one of the transports, otherwise the
// first of them. Only the application knows where ReadIDFunc looks, so Cookie.Name names it.
func (o *Options) place() place {
	transports := o.transports()
	first := transports[0]
	switch {
	case o.ReadIDFunc != nil:
		return place{"function", o.Cookie.Name}
	case slices.ContainsFunc(transports, func(t Transport) bool { return t.kind == byCookie }):
		return place{"cookie", o.Cookie.Name}
	case first.kind == byQuery:
		return place{"query", first.name}
	}
	return place{"header", http.CanonicalHeaderKey(first.name)}
}

// transports returns the transports that are read, in order. The functions replace all but the
// first.
func (o *Options) transports() []Transport {
	list := o.Transport.list
	if o.Transport.kind != byFirst {
		list = []Transport{o.Transport}
	}
	if o.ReadIDFunc != nil || o.WriteIDFunc != nil {
		list = list[:1]
	}
	return list
}

// carriers returns the transports in order. ReadIDFunc and WriteIDFunc replace them all.
func (o *Options) carriers() []*carry.Carrier {
	transports := o.transports()
	list := make([]*carry.Carrier, 0, len(transports))
	for _, t := range transports {
		switch t.kind {
		case byHeader:
			list = append(list, carry.Header(http.CanonicalHeaderKey(t.name)))
		case byBearer:
			list = append(list, carry.Bearer())
		case byQuery:
			list = append(list, carry.Query(t.name))
		default:
			list = append(list, carry.Cookie(o.Cookie.cookie()))
		}
	}
	if o.ReadIDFunc != nil || o.WriteIDFunc != nil {
		return []*carry.Carrier{carry.Funcs(list[0], o.ReadIDFunc, o.WriteIDFunc)}
	}
	return list
}

// URL returns ref with the session's ID in its query if URLs carry the ID: that is, if
// Options.Transport includes QueryTransport and the request did not bring the ID by another
// transport. Otherwise, and while there is no session, it returns ref unchanged, so pages may
// use it for all links, forms and redirects.
//
// Only references within the site get the ID: relative ones and absolute paths, such as
// "cart", "?page=2" and "/cart?x=1#top". References with a scheme or a host never get it, nor
// do those that a browser might read as having one.
//
// It may be called concurrently. For html/template see TemplateFuncs.
func URL(s Session, ref string) string {
	l, ok := s.(*live)
	if !ok || l.req == nil {
		return ref
	}
	name := l.req.param()
	if name == "" || !isLocal(ref) || strings.HasPrefix(ref, "#") { // The same page, query and all.
		return ref
	}
	rest, fragment, hasFragment := strings.Cut(ref, "#")
	path, query, _ := strings.Cut(rest, "?")

	// An ID that is already there, as in the URL of the current page, may be old.
	var params []string
	for _, p := range strings.Split(query, "&") {
		key, _, _ := strings.Cut(p, "=")
		if plain, err := url.QueryUnescape(key); err == nil {
			key = plain // Two IDs would count as none, however they are escaped.
		}
		if p != "" && key != name {
			params = append(params, p)
		}
	}
	if id := l.txn.Known(); id != "" {
		l.use()
		params = append(params, name+"="+id)
		l.req.linked.Store(true)
	}
	if len(params) > 0 {
		path += "?" + strings.Join(params, "&")
	}
	if hasFragment {
		path += "#" + fragment
	}
	return path
}

// TemplateFuncs returns URL under the name sessionURL, for the Funcs of html/template:
// {{sessionURL .Session "/cart"}}.
func TemplateFuncs() map[string]any {
	return map[string]any{"sessionURL": URL}
}

// isLocal reports whether the reference stays on this site in every browser.
// Browsers drop control characters and outer spaces, and read \ as /.
func isLocal(ref string) bool {
	for i := range len(ref) {
		if c := ref[i]; c <= ' ' || c == 0x7f || c == '\\' {
			return false
		}
	}
	if strings.HasPrefix(ref, "//") {
		return false
	}
	first, _, _ := strings.Cut(ref, "/")
	first, _, _ = strings.Cut(first, "?")
	first, _, _ = strings.Cut(first, "#")
	return !strings.Contains(first, ":") // Otherwise a scheme, or an error.
}

// mostValues is the maximum number of IDs that are looked up per request.
const mostValues = 8

// brought are the IDs that a request brings.
type brought struct {
	n   int
	by  [mostValues]*carry.Carrier
	all [mostValues]txn.Found
}

// gather reads the IDs, each once. Only well-formed IDs reach the store (G13).
func (q *request) gather(b *brought, within *onDemand) {
	malformed := false
	for _, c := range q.m.carriers {
		for _, value := range c.Read(q.x.r, q.vary[:0]) {
			switch {
			case b.n == mostValues: // A megabyte of cookies must not cost more than reading it.
				return
			case !q.m.core.Engine.Valid(value, q.m.leastID):
				if value != "" && !malformed {
					malformed = true
					q.m.core.Emit(within.context(), txn.Event{Kind: txn.MalformedID})
				}
			case !slices.ContainsFunc(b.all[:b.n], func(f txn.Found) bool { return f.ID == value }):
				b.by[b.n], b.all[b.n].ID = c, value
				b.n++
			}
		}
	}
}

// find loads the live session that the request brings. The first transport with a live ID
// counts. If there are several live IDs in cookies of the same name, none counts: another host
// of the domain has set one, and it is impossible to tell which.
func (q *request) find(within *onDemand) (token txn.Token, v *txn.Version, err error) {
	var b brought
	switch q.gather(&b, within); b.n {
	case 0:
		return "", nil, nil
	case 1:
		b.all[0].Version, b.all[0].Err = q.m.core.Find(within.context(), b.all[0].ID)
	default:
		all := slices.Clone(b.all[:b.n]) // What every request has stays on the stack.
		if err := q.m.core.FindAll(within.context(), all); err != nil {
			return "", nil, err
		}
		copy(b.all[:], all)
	}
	for i := range b.n {
		c, value := b.by[i], b.all[i].ID
		if q.by != nil && q.by != c {
			break
		}
		found, err := b.all[i].Version, b.all[i].Err
		switch {
		case err == nil && !q.belongs(found):
		case err == nil && q.by != nil && found.ID == v.ID && !q.m.core.Traits.Client:
			if value == found.ID { // The other one is from before a renewal, in a cookie of another path.
				token, v = txn.Token(value), found
			}
		case err == nil && q.by != nil:
			q.by = nil
			q.reportSome("two live sessions", fmt.Errorf("session: load: %s came with two live sessions, so neither counts: a Cookie.Name that starts with __Host- keeps other hosts of the domain from setting it", c.Name))
			return "", nil, nil
		case err == nil:
			q.by, token, v = c, txn.Token(value), found
		default:
			if err := q.missed(within, b.all[i]); err != nil {
				return "", nil, err
			}
		}
	}
	return token, v, nil
}

// missed records an ID that leads to no session. err is the store's error.
func (q *request) missed(within *onDemand, f txn.Found) error {
	switch {
	case errors.Is(f.Err, driver.ErrUnreadable):
		q.m.core.Emit(within.context(), txn.Event{Kind: txn.Undecodable, ID: f.ID, Err: f.Err})
		q.reportRecord(f.Err)
		return nil
	case !errors.Is(f.Err, ErrNotFound):
		return f.Err
	}
	kind := txn.UnknownID
	if errors.Is(f.Err, txn.ErrExpired) {
		kind = txn.Expired
	}
	q.m.core.Emit(within.context(), txn.Event{Kind: kind, ID: f.ID})
	q.live.txn.Stale(f)
	q.m.checkRival(q.x.r, f.ID)
	return nil
}

// belongs reports whether the record was made for this cookie or header. Records of v1.6.6 do
// not name a place.
func (q *request) belongs(v *txn.Version) bool {
	place := v.Place()
	return place == q.m.at || place == "" && !(q.placed && q.as.extra)
}
