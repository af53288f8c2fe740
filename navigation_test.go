package session_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/flamego/session"
)

// TestNavigation asks about what browsers and programs send.
func TestNavigation(t *testing.T) {
	page := []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Accept", "text/html,application/xhtml+xml,*/*;q=0.8"}
	with := func(more ...string) []string { return append(append([]string{}, page...), more...) }
	for name, test := range map[string]struct {
		method string
		header []string
		want   bool
	}{
		"page":                    {"GET", page, true},
		"page by a link":          {"GET", with("Sec-Fetch-User", "?1", "Sec-Fetch-Site", "none"), true},
		"reload":                  {"GET", with("Cache-Control", "max-age=0"), true},
		"Upgrade to HTTPS":        {"GET", with("Upgrade-Insecure-Requests", "1"), true},
		"form":                    {"POST", page, false},
		"HEAD":                    {"HEAD", page, false},
		"prefetch":                {"GET", with("Sec-Purpose", "prefetch"), false},
		"prerender":               {"GET", with("Sec-Purpose", "prefetch;prerender"), false},
		"prefetch by a proxy":     {"GET", with("Sec-Purpose", "prefetch;anonymous-client-ip"), false},
		"prefetch of old Chrome":  {"GET", with("Purpose", "prefetch"), false},
		"prefetch of old Firefox": {"GET", with("X-Moz", "prefetch"), false},
		"preview of Safari":       {"GET", with("X-Purpose", "preview"), false},
		"frame":                   {"GET", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe", "Accept", "text/html"}, false},
		"object":                  {"GET", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "object", "Accept", "text/html"}, false},
		"fetch":                   {"GET", []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Accept", "*/*"}, false},
		"fetch of HTML":           {"GET", []string{"Sec-Fetch-Mode", "same-origin", "Sec-Fetch-Dest", "empty", "Accept", "text/html"}, false},
		"image":                   {"GET", []string{"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image", "Accept", "image/avif,*/*"}, false},
		"WebSocket":               {"GET", []string{"Sec-Fetch-Mode", "websocket", "Sec-Fetch-Dest", "empty", "Upgrade", "websocket"}, false},

		// Without Sec-Fetch.
		"plain page":           {"GET", []string{"Accept", "text/html,application/xhtml+xml"}, true},
		"plain page, two":      {"GET", []string{"Accept", "Text/HTML;q=0.9"}, true},
		"plain form":           {"POST", []string{"Accept", "text/html"}, false},
		"plain HEAD":           {"HEAD", []string{"Accept", "text/html"}, false},
		"plain prefetch":       {"GET", []string{"Accept", "text/html", "Purpose", "prefetch"}, false},
		"plain XMLHttpRequest": {"GET", []string{"Accept", "text/html, */*; q=0.01", "X-Requested-With", "XMLHttpRequest"}, false},
		"plain fetch":          {"GET", []string{"Accept", "*/*"}, false},
		"plain stream":         {"GET", []string{"Accept", "text/event-stream"}, false},
		"plain WebSocket":      {"GET", []string{"Upgrade", "websocket", "Accept", "text/html"}, false},
		"plain image":          {"GET", []string{"Accept", "image/png,*/*"}, false},
		"JSON":                 {"GET", []string{"Accept", "application/json"}, false},
		"nothing":              {"GET", nil, false},
	} {
		r := httptest.NewRequest(test.method, "/", nil)
		for i := 0; i < len(test.header); i += 2 {
			r.Header.Add(test.header[i], test.header[i+1])
		}
		assert.Equal(t, test.want, session.Navigation(r), name)
	}
}

// TestTakesFlashPanics panics in the application's own rule: the flash is still there.
func TestTakesFlashPanics(t *testing.T) {
	panics := true
	a := newApp(t, func(o *session.Options) {
		o.TakesFlash = func(*http.Request) bool {
			if panics {
				panic("unavailable")
			}
			return true
		}
	})
	a.Get("/leave", func(s session.Session) { s.SetFlash("saved") })
	a.Get("/show", func(f session.Flash) string { return f.(string) })
	_, id := a.get("/leave", "")
	rec, _ := a.get("/show", id)
	assert.Equal(t, http.StatusInternalServerError, rec.Code)
	assert.ErrorContains(t, a.errs.last(), "Options.TakesFlash: panic: unavailable")
	panics = false
	rec, _ = a.get("/show", id)
	assert.Equal(t, "saved", rec.Body.String())
}
