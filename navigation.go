package session

import (
	"net/http"
	"strings"
)

// Navigation reports whether a person is going to see the response as a page, for
// Options.TakesFlash. It is a GET by which a browser tab goes to another page. It is none of
// these: a page that is fetched ahead of a visit that may never come, a request by a script,
// such as a poll or a stream, a WebSocket, an image, and a frame within a page.
//
// Browsers say so in Sec-Fetch-Mode and Sec-Fetch-Dest, but not on plain HTTP, nor the old
// ones. Then it goes by what else they send: an Accept that names text/html.
//
// Where scripts fetch whole pages, as Turbo and htmx do, or the site lives in a frame of
// another one, combine it with a rule of your own:
//
//	TakesFlash: func(r *http.Request) bool {
//		return session.Navigation(r) || r.Header.Get("HX-Boosted") == "true"
//	},
func Navigation(r *http.Request) bool {
	h := r.Header
	if r.Method != http.MethodGet || h.Get("Upgrade") != "" || isAhead(h) {
		return false
	}
	if mode, dest := h.Get("Sec-Fetch-Mode"), h.Get("Sec-Fetch-Dest"); mode != "" || dest != "" {
		return (mode == "" || mode == "navigate") && (dest == "" || dest == "document")
	}
	return h.Get("X-Requested-With") == "" && strings.Contains(strings.ToLower(strings.Join(h["Accept"], ",")), "text/html")
}

// isAhead reports whether a browser fetches a page that nobody may ever look at. Each of
// the headers is that of some browsers.
func isAhead(h http.Header) bool {
	for _, name := range [...]string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		for _, line := range h[name] {
			line = strings.ToLower(line)
			if strings.Contains(line, "prefetch") || strings.Contains(line, "prerender") || strings.Contains(line, "preview") {
				return true
			}
		}
	}
	return false
}
