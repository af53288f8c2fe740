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
// written before the first byte of the response. Its functions may be called
// concurrently.
type Carrier struct {
	// Read appends possible IDs to the list, usually one.
	Read func(r *http.Request, values []string) []string
	// Write tells the client its ID. age is the session's own Max-Age in seconds, or 0
	// for that of the options.
	Write func(w http.ResponseWriter, r *http.Request, id string, age int)
	// Greet is called once for a live ID that the client sent. It may be nil.
	Greet func(w http.ResponseWriter, r *http.Request, id string)
	// MaxAge is how many seconds the client keeps an ID written with the given age, or 0
	// if the client decides.
	MaxAge func(age int) int
	// Remove tells the client that its session has ended.
	Remove func(w http.ResponseWriter, r *http.Request)
	// Vary names the request header that the response depends on, or "".
	Vary string
	// Name names the transport, for messages and to compare two; it may be "".
	Name string
	// Param is the query parameter that IDs are read from, or "".
	Param string
	// Header is the response header with the ID, or "" for none or Set-Cookie.
	Header string
}

func clientDecides(int) int { return 0 }

// whitespace is what may surround a part of a header line (RFC 9110, section 5.6.3). Any
// other space, such as one of Unicode's, is part of a name.
const whitespace = " \t"

// Header returns the Carrier of a header with a canonical name.
func Header(name string) *Carrier { return header(name, "") }

// Bearer returns the Carrier of the Bearer scheme (RFC 6750).
func Bearer() *Carrier { return header("Authorization", "Bearer ") }

func header(name, scheme string) *Carrier {
	return &Carrier{
		Read: func(r *http.Request, values []string) []string {
			lines := r.Header[name]
			if len(lines) != 1 {
				return values // Two servers could disagree about which one counts.
			}
			value := lines[0]
			if len(value) < len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
				return values
			}
			if value = value[len(scheme):]; scheme != "" {
				value = strings.TrimLeft(value, " ")
			}
			return append(values, value)
		},
		Write: func(w http.ResponseWriter, _ *http.Request, id string, _ int) {
			w.Header()[name] = []string{scheme + id}
		},
		MaxAge: clientDecides,
		Remove: func(w http.ResponseWriter, _ *http.Request) { w.Header()[name] = []string{""} },
		Vary:   name,
		Name:   fmt.Sprintf("the header %q", name),
		Header: name,
	}
}

// Query returns the Carrier of a query parameter. It writes nothing: the application makes the
// URLs, and Private is called for every response that may have one.
func Query(name string) *Carrier {
	return &Carrier{
		Read: func(r *http.Request, values []string) []string {
			if !strings.Contains(r.URL.RawQuery, name) {
				return values
			}
			q, err := url.ParseQuery(r.URL.RawQuery)
			if err != nil || len(q[name]) != 1 {
				return values
			}
			return append(values, q[name][0])
		},
		Write:  func(http.ResponseWriter, *http.Request, string, int) {},
		MaxAge: clientDecides,
		Remove: func(http.ResponseWriter, *http.Request) {},
		Name:   fmt.Sprintf("the query parameter %q", name),
		Param:  name,
	}
}

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

// Funcs returns a Carrier that reads and writes by functions. If one is nil, c does its
// work. It has no Name: only the functions know where they carry IDs.
func Funcs(c *Carrier, readID func(*http.Request) string, writeID func(http.ResponseWriter, *http.Request, string, bool)) *Carrier {
	by := *c
	by.Name = ""
	if readID != nil {
		by.Param = ""
		by.Read = func(r *http.Request, values []string) []string { return append(values, readID(r)) }
	}
	if writeID != nil {
		by.Write = func(w http.ResponseWriter, r *http.Request, id string, _ int) { writeID(w, r, id, true) }
		by.Greet = func(w http.ResponseWriter, r *http.Request, id string) { writeID(w, r, id, false) }
		by.MaxAge = clientDecides
		// The application has to tell the client to drop its ID.
		by.Remove = func(http.ResponseWriter, *http.Request) {}
	}
	return &by
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
