package session

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// carrier is a Transport at work. Its header lines are written before the first
// byte of the response.
type carrier interface {
	// read appends what may be IDs to the list, usually one.
	read(r *http.Request, values []string) []string
	// write tells the client a new ID. age is the Max-Age that the session asks for
	// in seconds, or 0 for what the options say.
	write(w http.ResponseWriter, r *http.Request, id string, age int)
	// greet is called once for a live ID that came from the client.
	greet(w http.ResponseWriter, r *http.Request, id string)
	// maxAge is how many seconds the client keeps an ID that it is told with the
	// given age, or 0 if that is its own affair.
	maxAge(age int) int
	// remove tells the client that its session has ended.
	remove(w http.ResponseWriter, r *http.Request)
	// withdraw takes back what this response was to tell.
	withdraw(h http.Header)
	// vary names the header of requests that the response hangs on, or "".
	vary() string
	// way names the transport, for messages, and to tell two apart; it may be "".
	way() string
}

// headerCarrier carries IDs in a header.
type headerCarrier struct {
	name   string
	bearer bool
}

const bearerScheme = "Bearer "

func (c *headerCarrier) read(r *http.Request, values []string) []string {
	lines := r.Header[c.name]
	if len(lines) != 1 {
		return values // Two servers could disagree about which one counts.
	}
	value := lines[0]
	if c.bearer {
		if len(value) < len(bearerScheme) || !strings.EqualFold(value[:len(bearerScheme)], bearerScheme) {
			return values
		}
		value = strings.TrimLeft(value[len(bearerScheme):], " ")
	}
	return append(values, value)
}

func (c *headerCarrier) write(w http.ResponseWriter, _ *http.Request, id string, _ int) {
	if c.bearer {
		id = bearerScheme + id
	}
	w.Header()[c.name] = []string{id}
}

func (c *headerCarrier) greet(http.ResponseWriter, *http.Request, string) {}
func (c *headerCarrier) maxAge(int) int                                   { return 0 }

func (c *headerCarrier) remove(w http.ResponseWriter, _ *http.Request) {
	w.Header()[c.name] = []string{""}
}

func (c *headerCarrier) withdraw(h http.Header) { delete(h, c.name) }

func (c *headerCarrier) vary() string { return c.name }
func (c *headerCarrier) way() string  { return fmt.Sprintf("the header %q", c.name) }

// queryCarrier carries IDs in URLs, which the application makes with URL.
type queryCarrier struct{ name string }

func (c *queryCarrier) read(r *http.Request, values []string) []string {
	if !strings.Contains(r.URL.RawQuery, c.name) {
		return values
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(q[c.name]) != 1 {
		return values
	}
	return append(values, q[c.name][0])
}

func (c *queryCarrier) write(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
	private(w.Header())
}

func (c *queryCarrier) greet(w http.ResponseWriter, _ *http.Request, _ string) {
	private(w.Header())
}

func (c *queryCarrier) maxAge(int) int                            { return 0 }
func (c *queryCarrier) remove(http.ResponseWriter, *http.Request) {}
func (c *queryCarrier) withdraw(http.Header)                      {}
func (c *queryCarrier) vary() string                              { return "" }
func (c *queryCarrier) way() string                               { return fmt.Sprintf("the query parameter %q", c.name) }

// private keeps URLs with an ID in them out of the Referer header of other sites'
// logs, and out of caches.
func private(h http.Header) {
	h["Referrer-Policy"] = []string{"no-referrer"}
	h["Cache-Control"] = []string{"no-store"}
}

// funcCarrier calls the functions of the options, and for what has no function
// the way that the transport names.
type funcCarrier struct {
	carrier
	readID  func(*http.Request) string
	writeID func(http.ResponseWriter, *http.Request, string, bool)
}

func (c *funcCarrier) read(r *http.Request, values []string) []string {
	if c.readID == nil {
		return c.carrier.read(r, values)
	}
	return append(values, c.readID(r))
}

func (c *funcCarrier) write(w http.ResponseWriter, r *http.Request, id string, age int) {
	if c.writeID == nil {
		c.carrier.write(w, r, id, age)
		return
	}
	c.writeID(w, r, id, true)
}

func (c *funcCarrier) greet(w http.ResponseWriter, r *http.Request, id string) {
	if c.writeID == nil {
		c.carrier.greet(w, r, id)
		return
	}
	c.writeID(w, r, id, false)
}

func (c *funcCarrier) maxAge(age int) int {
	if c.writeID == nil {
		return c.carrier.maxAge(age)
	}
	return 0
}

// remove is nothing that WriteIDFunc knows of: where IDs travel by other ways,
// the client drops its ID when told to.
func (c *funcCarrier) remove(w http.ResponseWriter, r *http.Request) {
	if c.writeID == nil {
		c.carrier.remove(w, r)
	}
}

func (c *funcCarrier) withdraw(h http.Header) {
	if c.writeID == nil {
		c.carrier.withdraw(h)
	}
}

// way is what the functions make of it.
func (c *funcCarrier) way() string { return "" }

// asQuery returns the way through URLs, if that is how IDs are read.
func asQuery(c carrier) *queryCarrier {
	switch c := c.(type) {
	case *queryCarrier:
		return c
	case *funcCarrier:
		if c.readID == nil {
			return asQuery(c.carrier)
		}
	}
	return nil
}

// noStore keeps a response that tells an ID out of caches (OWASP session
// management cheat sheet), whatever the handler has decided: a cache would hand one
// session to everybody. The same goes for what only caches in between look at (RFC
// 9213).
func noStore(h http.Header) {
	h["Cache-Control"] = []string{"no-store"}
	for name := range h {
		if strings.HasSuffix(name, "-Cache-Control") || name == "Surrogate-Control" {
			delete(h, name)
		}
	}
}

// isPublic tells whether shared caches may keep the response (RFC 9111, section
// 3). They do so in spite of a Set-Cookie.
func isPublic(h http.Header) bool {
	public := false
	for _, line := range h["Cache-Control"] {
		for _, part := range strings.Split(line, ",") {
			name, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(part)), "=")
			switch name {
			case "private", "no-store":
				return false
			case "public", "max-age", "s-maxage":
				public = true
			}
		}
	}
	return public
}

// vary tells caches that the response hangs on a header of the request.
func vary(h http.Header, on string) {
	for _, line := range h["Vary"] {
		for _, name := range strings.Split(line, ",") {
			if name = strings.TrimSpace(name); name == "*" || strings.EqualFold(name, on) {
				return
			}
		}
	}
	h["Vary"] = append(h["Vary"], on)
}
