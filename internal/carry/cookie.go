package carry

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// cookie carries IDs in a cookie. Its header lines are prepared, except for the ID.
type cookie struct {
	template      http.Cookie
	plain, tls    string // what follows the ID
	gone, tlsGone string // the whole line that removes the cookie
}

// Cookie returns the Carrier of a cookie like the template, which is also Secure on
// requests that came over TLS.
func Cookie(template http.Cookie) *Carrier {
	c := &cookie{template: template}
	c.plain, c.gone = lines(template)
	template.Secure = true
	c.tls, c.tlsGone = lines(template)
	return &Carrier{
		Read: c.read, Write: c.write, Remove: c.remove,
		MaxAge: func(age int) int { return cmp.Or(age, template.MaxAge) },
		Vary:   "Cookie",
		Name:   fmt.Sprintf("the cookie %q", template.Name),
	}
}

func lines(t http.Cookie) (set, gone string) {
	t.Value = "0"
	set = strings.TrimPrefix(t.String(), t.Name+"=0")
	// The same attributes: otherwise browsers would not find the cookie, or refuse to
	// remove one with a prefix (RFC 6265bis, section 5.7).
	t.Value, t.MaxAge, t.Expires = "", -1, time.Unix(1, 0)
	return set, t.String()
}

// read finds several cookies of the name if another host of the domain has set one, or
// if the Path has changed. Only a space or a tab is no part of a name (RFC 6265bis, section
// 5.6): with any other one in front of it, a name would get around its __Host- prefix.
func (c *cookie) read(r *http.Request, values []string) []string {
	for _, line := range r.Header["Cookie"] {
		for line != "" {
			var part string
			part, line, _ = strings.Cut(line, ";")
			name, value, _ := strings.Cut(strings.Trim(part, whitespace), "=")
			if name != c.template.Name {
				continue
			}
			if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' { // RFC 6265, section 4.1.1
				value = value[1 : n-1]
			}
			values = append(values, value)
		}
	}
	return values
}

// write prefers the session's own Max-Age to that of the options.
func (c *cookie) write(w http.ResponseWriter, r *http.Request, id string, age int) {
	secure := r.TLS != nil
	if age > 0 {
		line := c.template
		line.Value, line.MaxAge, line.Secure = id, age, line.Secure || secure
		c.put(w.Header(), line.String())
		return
	}
	rest := c.plain
	if secure {
		rest = c.tls
	}
	c.put(w.Header(), c.template.Name+"="+id+rest)
}

func (c *cookie) remove(w http.ResponseWriter, r *http.Request) {
	line := c.gone
	if r.TLS != nil {
		line = c.tlsGone
	}
	c.put(w.Header(), line)
}

// put sets the cookie line, and replaces any other for the same cookie. One of the same name
// with another path or domain is another cookie (RFC 6265bis, section 5.7).
func (c *cookie) put(h http.Header, line string) {
	lines := h["Set-Cookie"]
	kept := make([]string, 0, len(lines)+1)
	for _, l := range lines {
		other, err := http.ParseSetCookie(l)
		if err != nil || other.Name != c.template.Name || other.Path != c.template.Path || !SameDomain(other.Domain, c.template.Domain) {
			kept = append(kept, l)
		}
	}
	h["Set-Cookie"] = append(kept, line)
}

// SameDomain reports whether two Domain attributes mean the same to browsers.
func SameDomain(a, b string) bool {
	return strings.EqualFold(strings.TrimPrefix(a, "."), strings.TrimPrefix(b, "."))
}
