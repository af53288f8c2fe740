// Package carry carries session IDs over HTTP, in cookies, headers and URLs. It also
// sends the failure response when a session cannot be stored.
package carry

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Carrier reads IDs from requests and tells clients theirs. Its header lines are
// written before the first byte of the response. Its methods may be called
// concurrently.
type Carrier interface {
	// Read appends possible IDs to the list, usually one.
	Read(r *http.Request, values []string) []string
	// Write tells the client its ID. age is the session's own Max-Age in seconds, or 0
	// for that of the options.
	Write(w http.ResponseWriter, r *http.Request, id string, age int)
	// Greet is called once for a live ID that the client sent.
	Greet(w http.ResponseWriter, r *http.Request, id string)
	// MaxAge is how many seconds the client keeps an ID written with the given age, or 0
	// if the client decides.
	MaxAge(age int) int
	// Remove tells the client that its session has ended.
	Remove(w http.ResponseWriter, r *http.Request)
	// Vary names the request header that the response depends on, or "".
	Vary() string
	// Name names the transport, for messages and to compare two; it may be "".
	Name() string
	// Param is the query parameter that IDs are read from, or "".
	Param() string
	// Header is the response header with the ID, or "" for none or Set-Cookie.
	Header() string
}

// whitespace is what may surround a part of a header line (RFC 9110, section 5.6.3). Any
// other space, such as one of Unicode's, is part of a name.
const whitespace = " \t"

// header carries IDs in a header.
type header struct {
	name   string
	bearer bool
}

// Header returns the Carrier of a header with a canonical name.
func Header(name string) Carrier { return &header{name: name} }

// Bearer returns the Carrier of the Bearer scheme (RFC 6750).
func Bearer() Carrier { return &header{name: "Authorization", bearer: true} }

const bearerScheme = "Bearer "

func (c *header) Read(r *http.Request, values []string) []string {
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

func (c *header) Write(w http.ResponseWriter, _ *http.Request, id string, _ int) {
	if c.bearer {
		id = bearerScheme + id
	}
	w.Header()[c.name] = []string{id}
}

func (c *header) Greet(http.ResponseWriter, *http.Request, string) {}
func (c *header) MaxAge(int) int                                   { return 0 }

func (c *header) Remove(w http.ResponseWriter, _ *http.Request) {
	w.Header()[c.name] = []string{""}
}

func (c *header) Vary() string   { return c.name }
func (c *header) Name() string   { return fmt.Sprintf("the header %q", c.name) }
func (c *header) Param() string  { return "" }
func (c *header) Header() string { return c.name }

// query carries IDs in URLs, which the application makes with URL.
type query struct{ name string }

// Query returns the Carrier of a query parameter.
func Query(name string) Carrier { return &query{name: name} }

func (c *query) Read(r *http.Request, values []string) []string {
	if !strings.Contains(r.URL.RawQuery, c.name) {
		return values
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(q[c.name]) != 1 {
		return values
	}
	return append(values, q[c.name][0])
}

// Write does nothing: the application makes the URLs, and Private is called for every
// response that may have one.
func (c *query) Write(http.ResponseWriter, *http.Request, string, int) {}
func (c *query) Greet(http.ResponseWriter, *http.Request, string)      {}
func (c *query) MaxAge(int) int                                        { return 0 }
func (c *query) Remove(http.ResponseWriter, *http.Request)             {}
func (c *query) Vary() string                                          { return "" }
func (c *query) Name() string                                          { return fmt.Sprintf("the query parameter %q", c.name) }
func (c *query) Param() string                                         { return c.name }
func (c *query) Header() string                                        { return "" }

// InURL reports whether the request's URL may have an ID in the parameter, however that is
// escaped or repeated, and whether or not Read accepts it.
func InURL(r *http.Request, param string) bool {
	query := r.URL.RawQuery
	if strings.Contains(query, param) || !strings.Contains(query, "%") {
		return strings.Contains(query, param)
	}
	var plain strings.Builder
	for len(query) > 0 {
		n := min(3, len(query))
		if char, err := url.QueryUnescape(query[:n]); err == nil && query[0] == '%' {
			plain.WriteString(char)
		} else {
			n = 1
			plain.WriteByte(query[0])
		}
		query = query[n:]
	}
	return strings.Contains(plain.String(), param)
}

// Private keeps URLs with an ID in them out of the Referer header of other sites'
// logs, and out of caches.
func Private(h http.Header) {
	h["Referrer-Policy"] = []string{"no-referrer"}
	NoStore(h, new(Room))
}

// funcs calls functions, and another Carrier where there is no function.
type funcs struct {
	Carrier
	readID  func(*http.Request) string
	writeID func(http.ResponseWriter, *http.Request, string, bool)
}

// Funcs returns a Carrier that reads and writes by functions. If one is nil, c does its
// work.
func Funcs(c Carrier, readID func(*http.Request) string, writeID func(http.ResponseWriter, *http.Request, string, bool)) Carrier {
	return &funcs{Carrier: c, readID: readID, writeID: writeID}
}

func (c *funcs) Read(r *http.Request, values []string) []string {
	if c.readID == nil {
		return c.Carrier.Read(r, values)
	}
	return append(values, c.readID(r))
}

func (c *funcs) Write(w http.ResponseWriter, r *http.Request, id string, age int) {
	if c.writeID == nil {
		c.Carrier.Write(w, r, id, age)
		return
	}
	c.writeID(w, r, id, true)
}

func (c *funcs) Greet(w http.ResponseWriter, r *http.Request, id string) {
	if c.writeID == nil {
		c.Carrier.Greet(w, r, id)
		return
	}
	c.writeID(w, r, id, false)
}

func (c *funcs) MaxAge(age int) int {
	if c.writeID == nil {
		return c.Carrier.MaxAge(age)
	}
	return 0
}

// Remove does nothing with a function to write IDs: the application has to tell the
// client to drop its ID.
func (c *funcs) Remove(w http.ResponseWriter, r *http.Request) {
	if c.writeID == nil {
		c.Carrier.Remove(w, r)
	}
}

// Name is empty: only the functions know where they carry IDs.
func (c *funcs) Name() string { return "" }

func (c *funcs) Param() string {
	if c.readID == nil {
		return c.Carrier.Param()
	}
	return ""
}

// NoStore keeps a response with an ID out of caches (OWASP session management cheat
// sheet), whatever the handler has set: a cache would hand one session to everybody. It
// also removes the headers for CDNs (RFC 9213).
func NoStore(h http.Header, room *Room) {
	h["Cache-Control"] = room.one("no-store")
	for name := range h {
		if isForCDNs(name) {
			delete(h, name)
		}
	}
}

// isForCDNs reports whether a header tells a shared cache more than Cache-Control does.
// X-Accel-Expires is that of nginx, Edge-Control that of Akamai.
func isForCDNs(name string) bool {
	switch name {
	case "Surrogate-Control", "X-Accel-Expires", "Edge-Control":
		return true
	}
	return strings.HasSuffix(name, "-Cache-Control")
}

// IsPublic reports whether the handler wants shared caches to keep the response (RFC
// 9111, section 3). They do so despite a Set-Cookie.
func IsPublic(h http.Header) bool {
	for name, lines := range h {
		switch {
		case name == "X-Accel-Expires" && slices.ContainsFunc(lines, func(l string) bool { return l != "0" }):
			return true // A number of seconds, or a time.
		case name == "Cache-Control", isForCDNs(name):
			if public, _ := policy(lines); public {
				return true
			}
		}
	}
	return false
}

// Reserve keeps a response that is not public out of shared caches. Unless Cache-Control
// forbids it, they may keep it all the same, and hand it out even with no-cache, when the
// server answers 304 to somebody else.
func Reserve(h http.Header, room *Room) {
	if _, private := policy(h["Cache-Control"]); !private {
		NoStore(h, room)
	}
}

// policy reports whether the lines allow shared caches to keep the response, or forbid it.
func policy(lines []string) (public, private bool) {
	for _, line := range lines {
		for _, part := range strings.Split(line, ",") {
			name, _, _ := strings.Cut(strings.ToLower(strings.Trim(part, whitespace)), "=")
			switch name {
			case "private", "no-store":
				private = true
			case "public", "max-age", "s-maxage", "cache-maxage":
				public = true
			}
		}
	}
	return public && !private, private
}

// Vary tells caches that the response depends on a request header.
func Vary(h http.Header, on string, room *Room) {
	if h["Vary"] == nil {
		h["Vary"] = room.one(on)
		return
	}
	for _, line := range h["Vary"] {
		for _, name := range strings.Split(line, ",") {
			if name = strings.Trim(name, whitespace); name == "*" || strings.EqualFold(name, on) {
				return
			}
		}
	}
	h["Vary"] = append(h["Vary"], on)
}

// Room is memory for the value of one header line. It saves an allocation.
type Room [1]string

func (r *Room) one(value string) []string {
	r[0] = value
	return r[:1:1]
}
