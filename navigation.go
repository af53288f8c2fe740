package session

import (
	"net/http"
	"strings"
)

// Navigation reports whether a person will see the response to r as a page. It is a rule for
// Options.TakesFlash. It is true for a GET by which a browser tab loads a page. It is false
// for a prefetched page, a request by a script, such as a poll or a stream, a WebSocket, an
// image, and a frame within a page.
//
// Browsers send this in Sec-Fetch-Mode and Sec-Fetch-Dest, except over plain HTTP and in old
// versions. Without these headers, an Accept that names text/html decides.
//
// If scripts fetch whole pages, as Turbo and htmx do, or the site is shown in a frame of
// another site, combine it with a rule of your own:
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

// isAhead reports whether the browser fetches the page ahead of a visit that may never come.
// Different browsers use different headers.
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
