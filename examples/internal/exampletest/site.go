package exampletest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/flamego/session"
	"github.com/flamego/session/sessiontest"
)

// Open is session.NewManager with a clock. The Manager is closed at the end of the
// test.
func Open(t *testing.T, opt session.Options, c *sessiontest.Clock) *session.Manager {
	t.Helper()
	m, err := session.NewManager(c.Options(opt))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m
}

// Serve serves a program on a port until the end of the test, and returns its URL.
func Serve(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}
