package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/flamego/session"
	"github.com/flamego/session/examples/internal/exampletest"
	"github.com/flamego/session/sessiontest"
)

func start(t *testing.T, opt session.Options) *exampletest.Browser {
	m := exampletest.Open(t, opt, sessiontest.NewClock())
	return exampletest.NewBrowser(t, exampletest.Serve(t, newApp(m)))
}

func TestPlainHandlers(t *testing.T) {
	b := start(t, options())
	assert.Equal(t, http.StatusUnauthorized, b.Get("/api/me").Status)
	b.Get("/signin?name=ann")
	assert.Equal(t, "Report for ann", b.Get("/report").Body)
	assert.Equal(t, `"ann"`, b.Get("/api/me").Body)
}

func TestFailure(t *testing.T) {
	opt := options()
	opt.ErrorFunc = func(error) {}
	opt.Passive = func(r *http.Request) bool {
		if r.URL.Query().Has("fail") {
			panic("unavailable")
		}
		return false
	}
	b := start(t, opt)
	b.Get("/signin?name=ann")
	for path, body := range map[string]string{"/report?fail": "Please try again in a moment.\n", "/api/me?fail": `{"error":"unavailable"}`} {
		page := b.Get(path)
		assert.Equal(t, http.StatusServiceUnavailable, page.Status)
		assert.Equal(t, body, page.Body)
		assert.Equal(t, "10", page.Header.Get("Retry-After"))
	}
	assert.Equal(t, "Report for ann", b.Get("/report").Body)
}
